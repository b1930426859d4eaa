from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from polydx.config import ClassicalConfig, Config
from polydx.errors import BundleError, ConfigError
from polydx.io.config_file import read_config, to_yaml
from polydx.recipes.build import build_recipes
from polydx.recipes.ensemble import EnsembleRecipe, FittedEnsemble
from polydx.recipes.kinds import holds_training_data, rebuild
from polydx.recipes.protocol import Fitted, Recipe, stream_seed
from polydx.recipes.store import load_model
from polydx.splits import inner_folds
from polydx.study import Task
from saved import save_model

STEPS = {"raman": ["snv", "standardise"]}
LOGISTIC = {"kind": "classical", "model": "logistic_regression", "preprocessing": STEPS, "params": {"C": 0.01}}
TREE = {"kind": "classical", "model": "decision_tree", "preprocessing": STEPS, "params": {"max_depth": 2}}
FOREST = {"kind": "classical", "model": "random_forest", "preprocessing": STEPS, "params": {"n_estimators": 5}}
NETWORK = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "preprocessing": {"raman": ["snv"]},
    "training": {"epochs": 2, "batch_size": 8},
}
BASIC = {"a": LOGISTIC, "b": TREE}


def ensemble(study, recipes=BASIC, **changes):
    config = {"kind": "ensemble", "members": list(recipes)} | changes
    return build_recipes({**recipes, "both": config}, study)["both"]


def two_tasks(make_study, **options):
    study = make_study(**options)
    codes = np.where(np.arange(len(study)) % 4 == 0, -1, np.arange(len(study)) % 3)
    tasks = {"disease": Task(("no", "yes")), "site": Task(("a", "b", "c"), level="sample")}
    return replace(study, tasks=tasks, labels=study.labels.assign(site=codes))


def probabilities(recipe, study, seed=0):
    return recipe.fit(study, seed).predict_proba(study)


@dataclass
class Told:
    """A fit that says of each sample what a function says."""

    say: Any
    notes: list[str] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def predict_proba(self, study):
        yes = np.array([self.say(i, p) for i, p in zip(study.ids, study.patients, strict=True)])
        return {"disease": np.column_stack([1 - yes, yes])}

    def features(self, study, stage):
        raise NotImplementedError

    def state(self):
        raise NotImplementedError


@dataclass(frozen=True)
class Memoriser:
    """Knows its training samples by name, and nothing of others."""

    name: str = "memory"
    config: dict[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ("raman",)

    def fit(self, study, seed, log=None):
        known = dict(zip(study.ids, study.label_codes("disease"), strict=True))
        return Told(lambda sample, _: float(known.get(sample, 0.5)))


@dataclass(frozen=True)
class Strict:
    """Refuses to be asked about a patient it learned from."""

    name: str = "strict"
    config: dict[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ("raman",)

    def fit(self, study, seed, log=None):
        seen = set(study.patients)

        def say(_, patient):
            assert patient not in seen
            return 0.5

        return Told(say)


def test_the_average_is_the_mean_of_its_members(make_study):
    study = two_tasks(make_study)
    found = probabilities(ensemble(study), study, 3)
    alone = [probabilities(build_recipes({"x": c}, study)["x"], study, 3) for c in (LOGISTIC, TREE)]
    for task in study.tasks:
        np.testing.assert_allclose(found[task], (alone[0][task] + alone[1][task]) / 2, atol=1e-15)


def test_repeats_average_over_seeds(make_study):
    study = make_study()
    recipe = ensemble(study, {"trees": FOREST}, repeats=3)
    single = build_recipes({"trees": FOREST}, study)["trees"]
    seeds = [4, stream_seed(4, "trees", 1), stream_seed(4, "trees", 2)]
    each = [probabilities(single, study, s)["disease"] for s in seeds]
    assert not np.array_equal(each[0], each[1])
    np.testing.assert_allclose(probabilities(recipe, study, 4)["disease"], np.mean(each, axis=0), atol=1e-15)


def test_stacking_is_a_logistic_regression_on_what_fits_say_of_patients_they_did_not_see(make_study):
    study = make_study(patients=12)
    codes, others = study.label_codes("disease"), make_study(patients=6, seed=3)
    made = build_recipes(BASIC, study)
    inner, outer = [], []
    for name in ("a", "b"):
        held_out = np.full((len(study), 2), np.nan)
        for fold in inner_folds(study, "disease", 5, 1):
            part = made[name].fit(study.take(fold.train), 1)
            held_out[fold.test] = part.predict_proba(study.take(fold.test))["disease"]
        inner.append(held_out)
        outer.append(made[name].fit(study, 1).predict_proba(others)["disease"])
    plain = LogisticRegression(class_weight="balanced", max_iter=500).fit(np.hstack(inner), codes)
    found = ensemble(study, method="stacking").fit(study, 1).predict_proba(others)["disease"]
    np.testing.assert_allclose(found, plain.predict_proba(np.hstack(outer)), atol=1e-6)


def test_a_member_that_only_knows_its_own_training_rows_gets_no_weight(make_study):
    study = make_study(patients=10)
    honest = build_recipes({"a": LOGISTIC}, study)["a"]
    recipe = EnsembleRecipe("both", {}, {"memory": Memoriser(), "a": honest}, "stacking")
    fitted = recipe.fit(study, 0)
    weights = fitted.stackers["disease"].model.estimator.coef_[0]
    np.testing.assert_allclose(weights[:2], 0, atol=0.01)  # the solver stops short of the optimum
    assert np.abs(weights[2:]).min() > 0.1


def test_stacking_asks_no_member_about_a_patient_it_learned_from(make_study):
    study = make_study(patients=10)
    assert EnsembleRecipe("s", {}, {"strict": Strict()}, "stacking").fit(study, 0).stackers
    with pytest.raises(AssertionError):
        Strict().fit(study, 0).predict_proba(study)


@pytest.mark.parametrize(
    ("recipes", "changes"),
    [({**BASIC, "net": NETWORK}, {}), (BASIC, {"method": "stacking"}), ({"trees": FOREST}, {"repeats": 2})],
)
def test_a_saved_ensemble_predicts_as_the_fitted_one(make_study, tmp_path, recipes, changes):
    study = two_tasks(make_study)
    recipe = ensemble(study, recipes, **changes)
    fitted = recipe.fit(study, 2)
    assert isinstance(recipe, Recipe)
    assert isinstance(fitted, Fitted)
    save_model(tmp_path / "m.zip", fitted, recipe, study)
    loaded = load_model(tmp_path / "m.zip")
    assert list(loaded.axes) == ["raman"]
    again, expected = loaded.fitted.predict_proba(study), fitted.predict_proba(study)
    for task in study.tasks:
        np.testing.assert_allclose(again[task], expected[task], atol=1e-6)
        np.testing.assert_allclose(again[task].sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", ["average", "stacking"])
@pytest.mark.slow
def test_the_same_seed_gives_the_same_ensemble(make_study, method):
    study = make_study()
    recipes = {"a": LOGISTIC, "trees": FOREST}
    first, second = (probabilities(ensemble(study, recipes, method=method, repeats=2), study, 5) for _ in range(2))
    assert {t: p.tobytes() for t, p in first.items()} == {t: p.tobytes() for t, p in second.items()}


def test_a_task_that_cannot_be_stacked_is_averaged_and_noted(make_study):
    study = make_study(patients=2)
    fitted = ensemble(study, method="stacking").fit(study, 0)
    assert fitted.stackers == {}
    assert fitted.notes == ["task 'disease': too few patients to stack on inner folds; the members are averaged"]
    average = probabilities(ensemble(study), study)["disease"]
    np.testing.assert_array_equal(fitted.predict_proba(study)["disease"], average)


def test_one_patient_alone_cannot_be_stacked(make_study):
    study = two_tasks(make_study, patients=1, each=6)
    assert ensemble(study, method="stacking").fit(study, 0).stackers == {}


def test_a_class_missing_from_training_gets_no_probability_from_a_stack(make_study):
    study = two_tasks(make_study, patients=12)
    no_c = study.take(np.flatnonzero(study.label_codes("site") < 2))
    found = ensemble(no_c, method="stacking").fit(no_c, 0).predict_proba(study)["site"]
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_notes_of_members_name_them(make_study):
    study = make_study(patients=6)
    one = study.take(np.flatnonzero(study.label_codes("disease") == 1))
    notes = ensemble(one, repeats=2).fit(one, 0).notes
    assert notes == [f"{n}: task 'disease': training rows hold yes only; predicted as such" for n in ("a", "b")]


def test_features_are_those_of_a_member(make_study):
    study = make_study()
    fitted = ensemble(study).fit(study, 0)
    own = build_recipes({"a": LOGISTIC}, study)["a"].fit(study, 0)
    np.testing.assert_array_equal(fitted.features(study, "a:input"), own.features(study, "input"))
    with pytest.raises(ConfigError, match=r"stage 'input': unknown member 'input'; expected one of: a, b \(write"):
        fitted.features(study, "input")


def test_each_member_logs_in_a_folder_of_its_own(make_study, tmp_path):
    study = make_study()
    ensemble(study, {"net": NETWORK}, repeats=2).fit(study, 0, log=tmp_path / "log")
    assert sorted(p.name for p in (tmp_path / "log").iterdir()) == ["net-0", "net-1"]


def test_an_ensemble_of_ensembles_and_members_written_in_place(make_study):
    study = make_study()
    inner = {"kind": "ensemble", "members": {"a": LOGISTIC, "t": "tree"}, "method": "stacking"}
    built = build_recipes({"tree": TREE, "it": {"kind": "ensemble", "members": [inner, "tree", FOREST]}}, study)["it"]
    assert list(built.members) == ["member-1", "tree", "member-3"]
    assert list(built.members["member-1"].members) == ["a", "t"]
    fitted = built.fit(study, 0)
    again = FittedEnsemble.from_state(*fitted.state())
    np.testing.assert_allclose(again.predict_proba(study)["disease"], fitted.predict_proba(study)["disease"], atol=1e-6)


def test_an_ensemble_holds_training_data_if_a_member_does(make_study):
    study = make_study()
    knn = {"kind": "classical", "model": "knn"}
    assert not holds_training_data(ensemble(study).fit(study, 0).state()[0])
    assert holds_training_data(ensemble(study, {"a": LOGISTIC, "k": knn}).fit(study, 0).state()[0])


def test_a_config_keeps_what_its_members_are(tmp_path):
    """So that an ensemble can be run alone, and the resolved file be run again."""
    recipes = {**BASIC, "both": {"kind": "ensemble", "members": ["a", "b"]}}
    config = Config.model_validate({"study": {"dataset": "als-saliva"}, "recipes": recipes})
    assert isinstance(config.recipes["both"].members["a"], ClassicalConfig)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert read_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["a", "c"], "recipes.both.members +unknown recipe 'c'; .*expected one of: a, b, both"),
        (["both"], "an ensemble cannot be a member of itself: both -> both"),
        ([{"kind": "ensemble", "members": ["both"]}], "an ensemble cannot be a member of itself: both -> both"),
        (["a", "a"], "a member stands twice; to average over seeds, name it once and set `repeats`"),
        ([], "at least 1"),
        (5, "dictionary"),
        ({"a/b": LOGISTIC}, "recipe name 'a/b': use letters"),
        ([{**LOGISTIC, "modle": "x"}], "modle"),
        ([{**LOGISTIC, "model": "logistc_regression"}], r"recipes.both.members.member-1.model +unknown model"),
        ([{**NETWORK, "neck": "averge"}], r"recipes.both.members.member-1 .*averge"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(make_study, members, message):
    with pytest.raises(ConfigError, match=message):
        build_recipes({**BASIC, "both": {"kind": "ensemble", "members": members}}, make_study())


def test_a_circle_of_ensembles_is_refused_with_the_file(tmp_path):
    circle = "{x: {kind: ensemble, members: [y]}, y: {kind: ensemble, members: [x]}}"
    (tmp_path / "study.yaml").write_text(f"study: {{dataset: als-saliva}}\nrecipes: {circle}\n")
    with pytest.raises(ConfigError, match="an ensemble cannot be a member of itself: x -> y -> x"):
        read_config(tmp_path / "study.yaml")


def test_an_unknown_kind_of_model_is_refused():
    with pytest.raises(BundleError, match="unknown kind of model 'oracle'; this polydx knows classical, network"):
        rebuild({"kind": "oracle"}, {})
