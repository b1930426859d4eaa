"""What recipes of several modalities answer without some of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from validation_tables import ALS, als_table

from polydx.config import MissingConfig
from polydx.errors import ReadError, StudyError
from polydx.study import RowIndex, Spectra
from polydx.validation.cross_validation import cross_validate
from polydx.validation.missing import missing_figures, pattern_of, scenario_losses
from polydx.validation.scenarios import lacking, robbed, scenario_names
from polydx.validation.scores import score_predictions
from polydx.validation.weights import read_weights, weights_frame, write_weights

EVERYTHING = MissingConfig(without_each=True, only_each=True, at_random=0.3)
PRIMARY = {"recipe": "attention", "versus": None, "task": "als", "level": "patient", "metric": "auroc"}


def several(study, absent=(), names=("raman", "blood", "skin")):
    """The study with copies of its spectra as further modalities; samples at `absent` lack the last of them."""
    raman, n = study.modalities["raman"], len(study)
    rows = {name: RowIndex.one_each(n) for name in names}
    rows[names[-1]] = RowIndex.from_lists([[] if i in set(absent) else [i] for i in range(n)])
    parts = {name: Spectra(raman.values + 10 * k, raman.axis) for k, name in enumerate(names)}
    return replace(study, modalities=parts, rows=rows)


@dataclass
class Averaging:
    """Answers with the mean over modalities that a sample has of one point of their spectra, and counts its fits."""

    name: str = "mean"
    modalities: tuple[str, ...] = ("raman", "blood", "skin")
    refuses: str = ""
    fits: list[int] = field(default_factory=list)
    thresholds = {"disease": 0.4}  # noqa: RUF012
    history = ()
    notes = ()

    @property
    def config(self):
        return {"kind": "averaging", "modalities": list(self.modalities)}

    def fit(self, study, seed: int, log: Path | None = None):
        self.fits.append(seed)
        return self

    def predict_proba(self, study):
        if self.refuses and not study.present(self.refuses).any():
            raise StudyError(f"needs {self.refuses}")
        p = np.array([np.mean([self._value(study, m, i) for m in self._there(study, i)]) for i in range(len(study))])
        return {"disease": np.stack([1 - p, p], axis=1)}

    def modality_weights(self, study):
        share = 1 / np.sum([study.present(m) for m in self.modalities], axis=0)
        return {m: np.where(study.present(m), share, np.nan) for m in self.modalities}

    def features(self, study, stage):
        raise NotImplementedError

    def state(self):
        return {}, {}

    def _there(self, study, i):
        return [m for m in self.modalities if study.present(m)[i]]

    def _value(self, study, name, i):
        return 1 / (1 + np.exp(-(study.modalities[name].values[study.rows[name][i][0], 24] - 15)))


def run(study, recipe, tmp_path=None, missing=EVERYTHING):
    from polydx.config import ValidationConfig

    split = ValidationConfig(folds=3, missing=missing)
    return cross_validate(study, {recipe.name: recipe}, split, folder=tmp_path, check=False)


def test_scenarios_are_those_asked_for_and_none_of_a_single_modality():
    assert scenario_names(MissingConfig(), ("a", "b")) == ("without:a", "without:b")
    assert scenario_names(EVERYTHING, ("a", "b")) == ("without:a", "without:b", "at-random:0.3")
    each_alone = MissingConfig(without_each=False, only_each=True)
    assert scenario_names(each_alone, ("a", "b")) == ("only:a", "only:b")
    assert scenario_names(EVERYTHING, ("a", "b", "c"))[3:] == ("only:a", "only:b", "only:c", "at-random:0.3")
    assert scenario_names(EVERYTHING, ("a",)) == ()
    assert scenario_names(MissingConfig(without_each=False), ("a", "b")) == ()


def test_a_modality_taken_away_leaves_the_others_as_they_are(make_study):
    study = several(make_study())
    first = np.arange(24) < 3
    less = lacking(study, {"raman": first})
    assert list(less.present("raman")) == list(~first)
    assert less.present("blood").all()
    np.testing.assert_array_equal(less.modalities["raman"].values, study.modalities["raman"].values[3:])
    np.testing.assert_array_equal(less.modalities["blood"].values, study.modalities["blood"].values)


def test_one_modality_taken_or_left(make_study):
    study, names = several(make_study(), absent=[4]), ("raman", "blood", "skin")
    left = robbed(study, "without:blood", names, 0, 0)
    assert not left.present("blood").any()
    assert left.present("raman").all()
    only = robbed(study, "only:skin", names, 0, 0)
    assert list(only.ids) == [s for i, s in enumerate(study.ids) if i != 4]
    assert not only.has_any(["raman", "blood"]).any()
    assert robbed(study.take(np.array([4])), "only:skin", names, 0, 0) is None


def test_chance_never_takes_the_last_modality_and_is_the_same_for_all_recipes(make_study):
    study, names = several(make_study(patients=100), absent=[4]), ("raman", "blood", "skin")
    left = robbed(study, "at-random:0.6", names, 0, 0)
    turned = robbed(study, "at-random:0.6", names[::-1], 0, 0)
    there = np.column_stack([left.present(m) for m in names])
    assert list(left.ids) == list(study.ids)
    assert there.any(axis=1).all()
    np.testing.assert_array_equal(there, np.column_stack([turned.present(m) for m in names]))
    assert not there[4, 2]
    assert there.mean() == pytest.approx(0.4 + 0.6**3 / 3, abs=0.05)  # one of three stays where all would go
    others = [robbed(study, "at-random:0.6", names, seed, fold) for seed, fold in ((1, 0), (0, 1))]
    assert all((other.present("raman") != left.present("raman")).any() for other in others)
    fewer = robbed(study, "at-random:0.6", names[:2], 0, 0)
    twice = there[:, :2].any(axis=1)  # where something is left of the two, the same is left
    np.testing.assert_array_equal(fewer.present("raman")[twice], left.present("raman")[twice])


@pytest.mark.slow
def test_scenarios_are_predictions_of_the_same_fit_on_robbed_samples(make_study):
    study, recipe = several(make_study(patients=9), absent=[0, 1]), Averaging()
    result = run(study, recipe)
    assert len(recipe.fits) == 3
    for scenario in scenario_names(EVERYTHING, recipe.modalities)[:-1]:
        own = result.scenarios[(result.scenarios["scenario"] == scenario) & (result.scenarios["class"] == "yes")]
        left = robbed(study, scenario, recipe.modalities, 0, 0)
        expected = pd.Series(recipe.predict_proba(left)["disease"][:, 1], index=left.ids)
        np.testing.assert_array_equal(own.set_index("sample")["probability"].reindex(left.ids), expected)
        assert set(own["threshold"]) == {0.4}
    assert {tuple(m) for m in result.scenarios.query("scenario == 'only:blood'")["modalities"]} == {("blood",)}
    weights = result.modality_weights
    np.testing.assert_allclose(weights.groupby("sample")["weight"].sum(), 1)
    assert len(weights) == 3 * 27 - 2


@pytest.mark.slow
def test_scenarios_of_finished_folds_are_taken_from_disk_and_damaged_ones_made_anew(make_study, tmp_path):
    study, recipe = several(make_study(patients=9)), Averaging()
    first = run(study, recipe, tmp_path)
    again = run(study, recipe, tmp_path)
    assert len(recipe.fits) == 3
    for name in ("scenarios", "modality_weights"):
        a, b = getattr(first, name), getattr(again, name)
        pd.testing.assert_frame_equal(
            a.drop(columns="modalities", errors="ignore"), b.drop(columns="modalities", errors="ignore")
        )
    for kind in ("scenarios", "modality_weights"):
        path = next((tmp_path / kind / "mean").glob("*.parquet"))
        path.write_bytes(path.read_bytes()[:50])
        run(study, recipe, tmp_path)
    assert len(recipe.fits) == 5
    run(study, recipe, tmp_path, MissingConfig())
    assert len(recipe.fits) == 8  # other scenarios need the fits again


def test_a_recipe_that_cannot_answer_without_a_modality_says_so(make_study):
    result = run(several(make_study(patients=9)), Averaging(refuses="blood"))
    assert "mean, seed 0, fold 0: scenario without:blood: no answer: needs blood" in result.notes
    assert "without:blood" not in set(result.scenarios["scenario"])


def tables(at_random=0.0, recipes=("attention", "concat"), patients=40, random_state=0):
    """Predictions of two recipes with both modalities, and of scenarios in which the second loses more."""
    lists = [["image", "raman"]]
    about = {"patients": patients, "samples": patients, "random_state": random_state}
    whole = als_table(recipes=[(r, 2.0) for r in recipes], **about)
    whole["modalities"] = lists * len(whole)
    less = als_table(recipes=[(r, 2.0 - at_random * (k + 1)) for k, r in enumerate(recipes)], **about)
    less["modalities"] = [["raman"]] * len(less)
    return whole, pd.concat([less.assign(scenario=s) for s in ("without:image", "at-random:0.3")], ignore_index=True)


def test_figures_of_a_scenario_are_those_of_its_predictions():
    whole, less = tables(0.5)
    found = missing_figures(whole, less, ALS, resamples=200, seed=0)
    for recipe in ("attention", "concat"):
        own = less[(less["recipe"] == recipe) & (less["scenario"] == "without:image")]
        alone = score_predictions(own, ALS, resamples=200)["recipes"][recipe]["tasks"]["als"]["patient"]
        told = found[recipe]["als"]["scenarios"]["without:image"]["patient"]
        assert told["auroc"] == alone["auroc"]
        assert told["n"] == 40
        complete = whole[(whole["recipe"] == recipe) & (whole["class"] == "ALS")]
        robbed_ = own[own["class"] == "ALS"]
        expected = auroc(robbed_) - auroc(complete)
        assert told["difference"]["auroc"]["estimate"] == pytest.approx(expected)
        assert told["difference"]["auroc"]["test"] == "delong"
        low, high = (told["difference"]["balanced_accuracy"][k] for k in ("low", "high"))
        assert low <= told["difference"]["balanced_accuracy"]["estimate"] <= high


def test_answers_that_do_not_change_lose_nothing():
    whole, _ = tables()
    less = whole.assign(scenario="without:image")
    told = missing_figures(whole, less, ALS, resamples=100, seed=0)["concat"]["als"]["scenarios"]["without:image"]
    assert all(told["patient"]["difference"][m]["estimate"] == 0 for m in ("auroc", "accuracy", "brier"))


def test_figures_by_what_samples_have_are_those_of_their_own_units():
    whole, less = tables()
    few = whole["patient"].isin([f"p{i:02d}" for i in range(9)])
    whole["modalities"] = [["raman"] if lacks else ["image", "raman"] for lacks in few]
    found = missing_figures(whole, less.iloc[:0], ALS, resamples=100, seed=0)["concat"]["als"]
    assert found["scenarios"] == {}
    assert list(found["availability"]) == ["image+raman", "raman"]
    own = whole[(whole["recipe"] == "concat") & few & (whole["class"] == "ALS")]
    told = found["availability"]["raman"]["patient"]
    assert (told["n"], told["auroc"]["estimate"]) == (9, pytest.approx(auroc(own)))
    one = whole[~few | (whole["patient"] == "p00")]
    alone = missing_figures(one, less.iloc[:0], ALS, resamples=100, seed=0)["concat"]["als"]["availability"]["raman"]
    assert alone["patient"]["auroc"]["reason"] == "no labelled patient of class 'ALS'"
    single = whole.assign(modalities=[["raman"]] * len(whole))
    assert missing_figures(single, less.iloc[:0], ALS, resamples=100, seed=0) == {}


def test_a_patient_has_what_any_of_their_samples_has():
    rows = pd.DataFrame({"sample": ["a", "b"], "patient": ["p", "p"], "modalities": [["raman"], ["image"]]})
    assert pattern_of(rows, "sample") == {"a": "raman", "b": "image"}
    assert pattern_of(rows, "patient") == {"p": "image+raman"}


def test_losses_where_modalities_are_missing_at_random_are_paired():
    whole, less = tables(0.8)
    (found,) = scenario_losses(whole, less, ALS, resamples=500, seed=0, primary=PRIMARY)
    chance = less[less["scenario"] == "at-random:0.3"]
    a, b = (
        auroc(whole[(whole["recipe"] == r) & (whole["class"] == "ALS")])
        - auroc(chance[(chance["recipe"] == r) & (chance["class"] == "ALS")])
        for r in ("attention", "concat")
    )
    assert (found["a"], found["b"], found["n"]) == ("attention", "concat", 40)
    expected = {"loss_a": a, "loss_b": b, "difference": a - b, "half": a - b / 2, "ratio": a / b}
    for key, value in expected.items():
        assert found[key]["estimate"] == pytest.approx(value)
        if found[key]["low"] is not None:
            assert found[key]["low"] <= value <= found[key]["high"]
    assert found["loss_b"]["low"] > 0
    lower = scenario_losses(whole, less, ALS, resamples=100, seed=0, primary=PRIMARY | {"metric": "brier"})
    assert lower[0]["loss_b"]["estimate"] > 0  # a Brier score that rises is a loss


def test_there_is_no_ratio_to_a_loss_that_may_be_none():
    whole, _ = tables()
    less = whole.assign(scenario="at-random:0.3")
    (found,) = scenario_losses(whole, less, ALS, resamples=100, seed=0, primary=PRIMARY)
    assert found["ratio"]["estimate"] is None
    assert found["ratio"]["reason"] == "b loses nothing: no share of it"
    whole, _ = tables()
    less = tables(random_state=3)[0].assign(scenario="at-random:0.3", label=whole["label"], patient=whole["patient"])
    (found,) = scenario_losses(whole, less, ALS, resamples=100, seed=0, primary=PRIMARY)
    assert "the ratio has no bounds: see `half`" in found["ratio"]["reason"]


@pytest.mark.parametrize("primary", [None, PRIMARY | {"recipe": "logistic"}, PRIMARY | {"versus": "logistic"}])
def test_without_two_declared_recipes_of_several_modalities_no_losses_are_compared(primary):
    assert scenario_losses(*tables(0.5), ALS, resamples=100, seed=0, primary=primary) == []


def test_a_table_of_weights_survives_the_disk_and_others_are_refused(make_study, tmp_path):
    study = several(make_study(), absent=[3])
    frame = weights_frame(study, Averaging().modality_weights(study), "mean", 1, 2)
    assert len(frame) == 3 * 24 - 1
    write_weights(frame, tmp_path / "w.parquet")
    assert read_weights(tmp_path / "w.parquet").equals(frame)
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(ReadError, match="is no table of modality weights"):
        read_weights(tmp_path / "x.parquet")
    frame.drop(columns="weight").to_parquet(tmp_path / "y.parquet")
    with pytest.raises(ReadError, match="has no column 'weight'"):
        read_weights(tmp_path / "y.parquet")


def auroc(own):
    return roc_auc_score(own["label"] == "ALS", own["probability"])
