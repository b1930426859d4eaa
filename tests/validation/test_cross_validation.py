from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import polydx
from polydx.errors import ConfigError, LeakageError, PolydxError, ReadError
from polydx.recipes.protocol import Fitted, Recipe, stream_seed
from polydx.splits import stratified_group_k_fold
from polydx.validation.cross_validation import cross_validate
from polydx.validation.predictions import read_predictions, write_predictions

LOGISTIC = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv", "standardise"]}}
FOREST = {"kind": "classical", "model": "random_forest", "params": {"n_estimators": 5}}
CNN = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "training": {"epochs": 2, "batch_size": 8},
}
RECIPES = {"logistic": LOGISTIC, "forest": FOREST, "cnn": CNN}


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one.drop(columns="modalities").equals(other.drop(columns="modalities"))


@pytest.mark.slow
def test_every_sample_is_predicted_once_by_a_model_that_did_not_see_its_patient(make_study):
    study = make_study(patients=10)
    result = polydx.cross_validate(study, {"logistic": LOGISTIC}, folds=5, seeds=[0, 1])
    table = result.predictions
    assert (table.groupby(["seed", "sample", "class"]).size() == 1).all()
    assert len(table) == 2 * len(study) * 2
    for (_, _), part in result.splits.groupby(["seed", "fold"]):
        sides = part.groupby("role")["patient"].agg(set)
        assert not sides["train"] & sides["test"]
    tested = table.merge(result.splits[result.splits["role"] == "test"], on=["seed", "fold", "sample"])
    assert len(tested) == len(table)


@pytest.mark.slow
def test_probabilities_are_those_of_a_plain_loop(make_study):
    study = make_study(patients=10)
    table = cross_validate(study, RECIPES, folds=3).predictions
    from polydx.recipes.build import build_recipes

    built = build_recipes(RECIPES, study)
    for name, recipe in built.items():
        for fold in stratified_group_k_fold(study.patients, study.label_codes("disease"), 3, 0):
            fitted = recipe.fit(study.take(fold.train), stream_seed(0, name, fold.number))
            expected = fitted.predict_proba(study.take(fold.test))["disease"].ravel()
            found = table[(table["recipe"] == name) & (table["fold"] == fold.number)]["probability"]
            np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_parallel_serial_and_reordered_runs_give_the_same_bytes(make_study, tmp_path):
    study = make_study(patients=8)
    serial = cross_validate(study, RECIPES, folds=3, jobs=1, folder=tmp_path / "a")
    parallel = cross_validate(study, RECIPES, folds=3, jobs=2, folder=tmp_path / "b")
    reordered = cross_validate(study, dict(reversed(RECIPES.items())), folds=3)
    assert same(serial.predictions, parallel.predictions)
    for name in RECIPES:
        expected, found = (r.predictions[r.predictions["recipe"] == name] for r in (serial, reordered))
        assert same(found.reset_index(drop=True), expected.reset_index(drop=True))


@dataclass
class Counting:
    """A recipe that counts its fits, and can be told to die."""

    inner: Recipe
    die_at: int = -1
    fits: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def config(self):
        return self.inner.config

    @property
    def modalities(self):
        return self.inner.modalities

    def fit(self, study, seed: int, log: Path | None = None) -> Fitted:
        if len(self.fits) == self.die_at:
            raise KeyboardInterrupt
        self.fits.append(seed)
        return self.inner.fit(study, seed, log)


def counting(study, **options) -> dict[str, Recipe]:
    from polydx.recipes.build import build_recipes

    return {name: Counting(r, **options) for name, r in build_recipes({"cnn": CNN}, study).items()}


@pytest.mark.slow
def test_a_run_killed_half_way_goes_on_without_refitting_and_ends_the_same(make_study, tmp_path):
    study = make_study(patients=10)
    whole = cross_validate(study, counting(study), folds=5).predictions
    with pytest.raises(KeyboardInterrupt):
        cross_validate(study, counting(study, die_at=3), folds=5, folder=tmp_path)
    later = counting(study)
    resumed = cross_validate(study, later, folds=5, folder=tmp_path)
    assert len(later["cnn"].fits) == 2
    assert same(resumed.predictions, whole)
    write_predictions(whole, tmp_path / "whole.parquet")
    write_predictions(resumed.predictions, tmp_path / "resumed.parquet")
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "resumed.parquet").read_bytes()
    assert len(resumed.history) == 10


@pytest.mark.slow
def test_a_broken_file_of_a_fold_is_computed_again(make_study, tmp_path):
    study = make_study(patients=10)
    before = cross_validate(study, {"logistic": LOGISTIC}, folds=5, folder=tmp_path)
    files = sorted((tmp_path / "folds" / "logistic").glob("*.parquet"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    assert same(cross_validate(study, {"logistic": LOGISTIC}, folds=5, folder=tmp_path).predictions, before.predictions)


@pytest.mark.slow
def test_a_changed_byte_in_a_file_of_a_fold_is_noticed(make_study, tmp_path):
    study = make_study(patients=10)
    before = cross_validate(study, {"logistic": LOGISTIC}, folds=5, folder=tmp_path)
    for path in (tmp_path / "folds" / "logistic").glob("*.parquet"):
        whole = bytearray(path.read_bytes())
        whole[60:120] = bytes(60)
        path.write_bytes(bytes(whole))
    assert same(cross_validate(study, {"logistic": LOGISTIC}, folds=5, folder=tmp_path).predictions, before.predictions)


def test_other_threads_or_libraries_mean_another_fit(make_study, monkeypatch):
    from polydx.recipes.build import build_recipes
    from polydx.validation import folds

    study = make_study()
    recipe = build_recipes({"logistic": LOGISTIC}, study)["logistic"]
    (fold, *_) = stratified_group_k_fold(study.patients, study.label_codes("disease"), 2, 0)
    keys = {folds.job_key("x", recipe, 0, fold, threads) for threads in (1, 2)}
    monkeypatch.setattr(folds, "package_versions", lambda: {"numpy": "0.1"})
    assert len(keys | {folds.job_key("x", recipe, 0, fold, 1)}) == 3


def test_an_error_in_a_fit_says_in_which(make_study):
    study = make_study(patients=6)
    deep = LOGISTIC | {"preprocessing": {"raman": ["snv", {"pca": {"components": 17}}]}}
    with pytest.raises(PolydxError, match="recipe 'deep', seed 0, fold 0: .*17"):
        cross_validate(study, {"deep": deep}, folds=3)


def test_a_copy_under_two_patients_is_refused_in_python_too(make_study):
    from dataclasses import replace

    study = make_study()
    spectra = study.spectra("raman")
    values = spectra.values.copy()
    values[3] = values[0]
    copied = replace(study, modalities={"raman": replace(spectra, values=values)})
    with pytest.raises(LeakageError, match="have the same spectrum"):
        cross_validate(copied, {"logistic": LOGISTIC}, folds=2)
    assert len(cross_validate(copied, {"logistic": LOGISTIC}, folds=2, check=False).predictions) == 48


@pytest.mark.parametrize("what", ["recipe", "study", "fold"])
@pytest.mark.slow
def test_a_fold_of_another_recipe_study_or_split_is_never_taken(make_study, tmp_path, what):
    study = make_study(patients=10)
    cross_validate(study, counting(study), folds=5, folder=tmp_path)
    if what == "study":
        study = make_study(patients=10, seed=3)
    recipes = counting(study)
    if what == "recipe":
        from polydx.recipes.build import build_recipes

        changed = CNN | {"training": {"epochs": 1, "batch_size": 8}}
        recipes = {"cnn": Counting(build_recipes({"cnn": changed}, study)["cnn"])}
    cross_validate(study, recipes, folds=4 if what == "fold" else 5, folder=tmp_path)
    assert len(recipes["cnn"].fits) == (4 if what == "fold" else 5)


def test_weights_and_logs_of_networks_are_kept_for_each_fold(make_study, tmp_path):
    from safetensors.numpy import load_file

    study = make_study(patients=8)
    cross_validate(study, {"cnn": CNN}, folds=2, folder=tmp_path)
    weights = sorted((tmp_path / "weights" / "cnn").glob("*.safetensors"))
    assert [w.name for w in weights] == ["seed-0_fold-000.safetensors", "seed-0_fold-001.safetensors"]
    assert any(k.startswith("weights/backbones.raman") for k in load_file(weights[0]))
    assert all(list((tmp_path / "logs" / "cnn" / w.stem).iterdir()) for w in weights)


def test_an_unknown_split_and_no_recipes_are_refused(make_study):
    with pytest.raises(ConfigError, match="unknown split 'random'"):
        cross_validate(make_study(), {"logistic": LOGISTIC}, "random")
    with pytest.raises(ConfigError, match="no recipes: name at least one"):
        cross_validate(make_study(), {})


@dataclass
class Broken(Counting):
    """Gives NaN, or rows that do not sum to one."""

    value: float = float("nan")

    def fit(self, study, seed: int, log: Path | None = None) -> Fitted:
        fitted = self.inner.fit(study, seed, log)
        fitted.predict_proba = lambda test: {"disease": np.full((len(test), 2), self.value)}  # type: ignore[method-assign]
        return fitted


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "not a number"), (0.3, "do not sum to 1")])
def test_probabilities_that_cannot_be_are_refused_by_recipe_and_fold(make_study, value, message):
    study = make_study()
    from polydx.recipes.build import build_recipes

    recipes = {"cnn": Broken(build_recipes({"cnn": CNN}, study)["cnn"], value=value)}
    with pytest.raises(PolydxError, match=rf"recipe 'cnn', seed 0, fold 0, task 'disease': .*{message}"):
        cross_validate(study, recipes, folds=2)


def test_a_table_survives_the_disk(make_study, tmp_path):
    study = make_study()
    table = cross_validate(study, {"logistic": LOGISTIC}, folds=2).predictions
    write_predictions(table, tmp_path / "p.parquet")
    assert same(read_predictions(tmp_path / "p.parquet"), table)
    assert list(table["modalities"].iloc[0]) == ["raman"]


def test_a_file_that_is_no_predictions_table_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(ReadError, match="is no predictions table"):
        read_predictions(tmp_path / "x.parquet")
    pd.DataFrame({"recipe": ["a"]}).to_parquet(tmp_path / "y.parquet")
    with pytest.raises(ReadError, match="has no column 'seed'"):
        read_predictions(tmp_path / "y.parquet")


def test_the_stream_of_a_fit_depends_on_seed_recipe_and_fold_alone():
    seeds = {stream_seed(s, r, f) for s in range(3) for r in ("a", "b") for f in range(5)}
    assert len(seeds) == 30
    assert stream_seed(1, "cnn", 2) == stream_seed(1, "cnn", 2)
