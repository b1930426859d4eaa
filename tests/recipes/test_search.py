"""Settings chosen on inner folds: against scikit-learn's grid search, and against what must not happen."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polydx.config import ClassicalConfig
from polydx.errors import ConfigError, StudyError
from polydx.recipes.build import build_recipes
from polydx.recipes.kinds import rebuild
from polydx.recipes.out_of_fold import folds_of_tasks
from polydx.recipes.places import placed
from polydx.recipes.protocol import Recipe
from polydx.recipes.scoring import scores
from polydx.recipes.search import SEARCHED, Searched
from polydx.recipes.temperature import choose_temperature
from polydx.recipes.tuned import Tuned
from polydx.study import Task
from polydx.validation.cross_validation import cross_validate

PLAIN = {
    "kind": "classical",
    "model": "logistic_regression",
    "preprocessing": {"raman": ["snv", {"pca": {"components": 3}}]},
}
SMALL = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "training": {"epochs": 1, "patience": None},
}
GRID = {"params.C": [0.001, 10.0], "preprocessing.raman.pca.components": [1, 2, 4]}
SHORT = {"params.C": [0.001, 10.0]}


def searching(study, space, config=PLAIN, **search):
    own = {key: search.pop(key) for key in ("calibration", "operating_point") if key in search}
    return build_recipes({"it": {**config, **own, "search": {"space": space, **search}}}, study)["it"]


def plain(study, config):
    return build_recipes({"it": config}, study)["it"]


def test_a_grid_of_one_setting_is_searched_as_scikit_learn_does(make_study):
    study = make_study(patients=16, each=1, effect=1.0)
    steps = {"raman": ["standardise"]}
    grid = [0.0003, 0.003, 0.03, 0.3, 3.0]
    recipe = searching(study, {"params.C": grid}, {**PLAIN, "preprocessing": steps, "params": {"C": 1e-6}})
    found = recipe.find(study, 3)
    which = np.empty(16, dtype=int)
    for number, fold in enumerate(folds_of_tasks(study, ["disease"], 3)):
        which[fold.test] = number
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=5000, tol=1e-8))
    peer = GridSearchCV(model, {"logisticregression__C": grid}, cv=PredefinedSplit(which), scoring="neg_log_loss")
    x, y = study.spectra("raman").values.astype(np.float64), study.label_codes("disease")
    peer.fit(x, y)
    # scikit-learn averages over folds, which hold different numbers of patients; here the folds are put together.
    folds = [peer.cv_results_[f"split{k}_test_score"] for k in range(5)]
    weighed = -np.average(folds, axis=0, weights=np.bincount(which))
    np.testing.assert_allclose([t.score for t in found.trials[1:]], weighed, rtol=3e-3)
    assert found.best.settings == {"params.C": grid[int(np.argmin(weighed))]}


@pytest.mark.slow
def test_what_is_found_is_fitted_to_all_rows_and_told(make_study):
    study = make_study(patients=12)
    recipe = searching(study, GRID)
    assert isinstance(recipe, Searched)
    assert isinstance(recipe, Recipe)
    found = recipe.find(study, 1)
    assert [t.settings for t in found.trials[:3]] == [
        {}, {"params.C": 0.001, "preprocessing.raman.pca.components": 1}, {"params.C": 0.001, "preprocessing.raman.pca.components": 2},
    ]  # fmt: skip
    assert len(found.trials) == 7
    fitted, own = recipe.fit(study, 1), plain(study, placed(PLAIN | {"params": {}, "preprocessing": {"raman": [{"name": "snv"}, {"name": "pca", "params": {"components": 3}}]}}, found.best.settings)).fit(study, 1)  # fmt: skip
    assert fitted.predict_proba(study)["disease"].tobytes() == own.predict_proba(study)["disease"].tobytes()
    (note,) = [note for note in fitted.notes if note.startswith(SEARCHED)]
    assert note == found.note()
    assert f"{found.best.score:.3g}, {found.trials[0].score:.3g} as written" in note


@pytest.mark.slow
def test_draws_repeat_and_lie_in_their_spans(make_study):
    study = make_study(patients=10, effect=0.3)
    space = {
        "params.C": {"low": 1e-4, "high": 10, "log": True},
        "preprocessing.raman.1.components": {"low": 1, "high": 5},
    }
    found, again = (searching(study, space, trials=5).find(study, 5) for _ in range(2))
    assert [t.settings for t in found.trials] == [t.settings for t in again.trials]
    assert [t.score for t in found.trials] == [t.score for t in again.trials]
    drawn = [t.settings for t in found.trials[1:]]
    assert len({s["params.C"] for s in drawn}) == 5
    assert all(1e-4 <= s["params.C"] <= 10 for s in drawn)
    assert {type(s["preprocessing.raman.1.components"]) for s in drawn} == {int}
    other = searching(study, space, trials=5).find(study, 6)
    assert [t.settings for t in other.trials] != [t.settings for t in found.trials]


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on_where_it_stood(make_study):
    study = make_study(patients=8, effect=0.3)
    recipe = searching(
        study, {"params.C": {"low": 0.01, "high": 10}, "params.class_weight": [None, "balanced"]}, trials=6
    )
    whole = recipe.find(study, 0)
    made = []
    again = replace(recipe, make=lambda section: made.append(section) or recipe.make(section))
    resumed = again.find(study, 0, known={t.number: t for t in whole.trials[:4]})
    assert [(t.settings, t.score) for t in resumed.trials] == [(t.settings, t.score) for t in whole.trials]
    assert len(made) == 3
    made.clear()
    other = {1: replace(whole.trials[1], settings={"params.C": 5.0}, score=0.0)}  # of another search
    assert [t.score for t in again.find(study, 0, known=other).trials] == [t.score for t in whole.trials]
    assert len(made) == 7


def test_what_is_written_stays_where_nothing_is_better(make_study):
    study = make_study(patients=12, effect=2.0)
    recipe = searching(study, {"params.C": [1e-9]})
    found = recipe.find(study, 0)
    assert found.best.settings == {}
    assert "what is written stays (log loss" in found.note()


def test_a_setting_that_cannot_be_fitted_is_passed_over(make_study):
    study = make_study(patients=6, each=1)  # inner fits see four or five rows
    recipe = searching(study, {"preprocessing.raman.pca.components": [2, 50]})
    found = recipe.find(study, 0)
    assert found.trials[-1].score is None
    assert "components" in found.trials[-1].failure
    assert found.best.settings in ({}, {"preprocessing.raman.pca.components": 2})
    none = searching(
        study,
        {"preprocessing.raman.pca.components": [40, 50]},
        {**PLAIN, "preprocessing": {"raman": [{"pca": {"components": 60}}]}},
    )
    with pytest.raises(StudyError, match="recipe 'it': no setting can be fitted on inner folds: .*60"):
        none.fit(study, 0)


def test_nothing_can_be_told_from_one_patient(make_study):
    study = make_study(patients=2)
    fitted = searching(study, {"params.C": [0.1]}).fit(study, 0)
    assert f"{SEARCHED}2 settings on inner patients: none could be judged; what is written stays" in fitted.notes


@pytest.mark.slow
def test_what_a_fold_chooses_does_not_hang_on_its_test_patients(make_study):
    study, recipes = make_study(patients=12, effect=0.3), {"it": {**PLAIN, "search": {"space": SHORT}}}
    whole = cross_validate(study, recipes, folds=2)
    tested = whole.splits.query("role == 'test' and fold == 0")["sample"]
    distorted = study.spectra("raman").values.copy()
    distorted[np.isin(study.ids, tested)] *= np.linspace(0, 5, distorted.shape[1], dtype=np.float32)
    again = cross_validate(
        replace(study, modalities={"raman": replace(study.spectra("raman"), values=distorted)}), recipes, folds=2
    )
    chosen, other = ([n for n in found.notes if SEARCHED in n] for found in (whole, again))
    assert chosen[0] == other[0]
    assert chosen[1] != other[1]  # of the fold that learns from them


@pytest.mark.parametrize("metric", ["log_loss", "balanced_accuracy", "auroc"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_scikit_learns(make_study, rng, metric, classes):
    study = make_study(patients=30, each=2)
    codes = np.repeat(np.arange(30) % classes, 2)
    task = Task(tuple("abc"[:classes]))
    study = replace(study, tasks={"t": task}, labels=study.labels.assign(t=codes)[["t"]])
    p = rng.dirichlet(np.ones(classes), 60)
    p[:4] = np.nan  # two patients whom no fit could tell
    mean, y = p[4:].reshape(-1, 2, classes).mean(axis=1), codes[4::2]
    weight = 1 / np.bincount(y)[y]
    expected = {
        "log_loss": lambda: log_loss(y, mean, sample_weight=weight),
        "balanced_accuracy": lambda: balanced_accuracy_score(y, mean.argmax(axis=1)),
        "auroc": lambda: roc_auc_score(y, mean[:, 1]) if classes == 2 else roc_auc_score(y, mean, multi_class="ovr"),
    }[metric]()
    assert scores(metric, study, {"t": p}, ["t"])["t"] == pytest.approx(expected)
    rows = replace(study, tasks={"t": replace(task, level="sample")})
    assert scores(metric, rows, {"t": p}, ["t"])["t"] != pytest.approx(expected, abs=1e-4)


def test_the_tasks_that_count_can_be_named(make_study):
    study = make_study(patients=12)
    tasks = {"disease": Task(("no", "yes")), "sex": Task(("f", "m"))}
    study = replace(study, tasks=tasks, labels=study.labels.assign(sex=np.repeat(np.arange(12) // 2 % 2, 3)))
    both, one = searching(study, {"params.C": [0.1]}), searching(study, {"params.C": [0.1]}, tasks=["sex"])
    whole, part = both.find(study, 0).trials[1], one.find(study, 0).trials[1]
    assert set(whole.tasks) == {"disease", "sex"}
    assert whole.score == pytest.approx(np.mean(list(whole.tasks.values())))
    assert part.tasks == {"sex": whole.tasks["sex"]}
    assert part.score == whole.tasks["sex"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "space"),
    [
        (SMALL, {"training.lr": [0.01], "backbones.raman.width": [8]}),
        ({"kind": "ensemble", "members": {"a": PLAIN, "b": SMALL}}, {"members.a.params.C": [0.01]}),
        ({"kind": "features", "features": {"from": SMALL, "stage": "embedding"}, "model": "svm"}, {"params.C": [0.1]}),
        ({"kind": "ensemble", "members": {"a": {**PLAIN, "search": {"space": {"params.C": [0.01]}}}}}, {"method": ["stacking"]}),
    ],
    ids=["network", "ensemble", "features", "member"],
)  # fmt: skip
def test_every_kind_of_recipe_can_be_searched_sent_to_a_worker_and_stored(make_study, config, space):
    study = make_study(patients=8)
    recipe = pickle.loads(pickle.dumps(searching(study, space, config)))
    fitted = recipe.fit(study, 0)
    assert any(SEARCHED in note for note in fitted.notes)
    back = rebuild(*fitted.state())
    told = fitted.predict_proba(study)["disease"]
    np.testing.assert_allclose(back.predict_proba(study)["disease"], told, atol=1e-6)


@pytest.mark.slow
def test_temperature_and_threshold_are_of_fits_that_search_themselves(make_study):
    study = make_study(patients=12)
    recipe = searching(study, {"params.C": [0.01]}, calibration="temperature", operating_point={"rule": "youden"})
    assert isinstance(recipe, Tuned)
    assert isinstance(recipe.recipe, Searched)
    fitted = recipe.fit(study, 0)
    inner = [recipe.recipe.fit(study.take(fold.train), 0) for fold in folds_of_tasks(study, ["disease"], 0)]
    told = np.full((len(study), 2), np.nan)
    for fold, one in zip(folds_of_tasks(study, ["disease"], 0), inner, strict=True):
        told[fold.test] = one.predict_proba(study.take(fold.test))["disease"]
    expected, _ = choose_temperature(study, "disease", told)
    assert fitted.temperatures == {"disease": expected}
    assert len({note for one in inner for note in one.notes}) > 1  # each searched for itself
    assert 0 < fitted.thresholds["disease"] < 1


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (
            {"params.c": [1]},
            "recipes.it.search.space.params.c +1: unknown parameter of logistic_regression; did you mean 'C'",
        ),
        ({"params.C": [1, "much"]}, "recipes.it.search.space.params.C +much: "),
        ({"paramms.C": [1]}, "recipes.it.search.space.paramms.C +1: Extra inputs are not permitted"),
        ({"preprocessing.raman.pka.components": [1]}, "unknown step 'pka'; did you mean 'pca'"),
        ({"preprocessing.raman.pca": [3]}, "names no setting: a step's is `.STEP.PARAMETER`"),
        ({"model.depth.x": [3]}, "recipes.it.search.space.model.depth.x"),
        ({"preprocessing.raman.pca.components": {"low": 0, "high": 4}}, "0: "),
        ({"init.from": ["a"]}, "'init.from' cannot be searched"),
        ({"pretrain.dataset": ["als-saliva"]}, "'pretrain.dataset' cannot be searched"),
        ({"pretrain": [{"method": "simclr"}]}, "'pretrain' cannot be exchanged as a whole"),
        ({"params.C": [0.1], "params": [{"C": 1.0}]}, "params.C +lies in 'params', which is searched too"),
        ({"preprocessing.clinical": [[]]}, "preprocessing.clinical"),
        ({"preprocessing.raman.².components": [1]}, "unknown step '²'"),
        ({"operating_point": [None]}, "'operating_point' cannot be searched"),
        ({"params.C": [1], "params.c": [1], "kind": ["network"]}, "2 problems"),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_anything_is_fitted(make_study, space, told):
    with pytest.raises(ConfigError, match=told):
        searching(make_study(), space)


def test_steps_of_one_name_are_told_apart_by_number(make_study):
    twice = {**PLAIN, "preprocessing": {"raman": ["snv", "snv", {"pca": {"components": 2}}]}}
    with pytest.raises(ConfigError, match="2 steps are called 'snv'; give the number of one, from 0"):
        searching(make_study(), {"preprocessing.raman.snv.x": [1]}, twice)
    searching(make_study(), {"preprocessing.raman.2.components": [1]}, twice)
    with pytest.raises(ConfigError, match="unknown task 'disese'; did you mean 'disease'"):
        searching(make_study(), {"params.C": [1]}, tasks=["disese"])


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("members.a.calibration", "temperature", "cannot be searched"),
        ("members.a.init.from", "x.ckpt", "cannot be searched"),
        ("members.a", "other", "cannot be exchanged as a whole"),
        ("members", [PLAIN], "cannot be exchanged as a whole"),
        ("features.f.network", {}, "cannot be exchanged as a whole"),
        ("features.f.from", "other", "cannot be searched"),
        ("features.f.network.pretrain.study", {}, "cannot be searched"),
        ("params", {"init": 3}, "cannot be exchanged as a whole"),
    ],
)
def test_other_recipes_and_what_a_fit_may_see_are_closed_to_a_search(place, value, told):
    with pytest.raises(ConfigError, match=f"'{place}' {told}"):
        placed({"members": {"a": {}}, "features": {"f": {"network": {}}}}, {place: value})


def test_nothing_lies_under_a_number():
    with pytest.raises(ConfigError, match="'params.C.x.y': nothing lies under 'x'"):
        placed({"params": {"C": 1.0}}, {"params.C.x.y": 1})


def test_settings_within_other_recipes_are_open():
    found = placed(
        {"features": {"f": {"network": {"training": {}}}}},
        {"features.f.network.training.lr": 1, "features.f.stage": "embedding"},
    )
    assert found == {"features": {"f": {"network": {"training": {"lr": 1}}, "stage": "embedding"}}}


def test_a_search_cannot_change_which_modalities_are_used(make):
    config = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv"]}}
    with pytest.raises(ConfigError, match="changes which modalities are used: that takes a recipe of its own"):
        searching(make(), {"preprocessing.clinical": [["impute", "one_hot"]]}, config)


def test_a_value_that_needs_one_of_another_place_is_right_and_a_pair_that_cannot_be_is_passed_over(make_study):
    study = make_study(patients=10)
    space = {"params.solver": ["lbfgs", "saga"], "params.l1_ratio": [0.0, 0.5]}
    found = searching(study, space).find(study, 0)
    failed = [t.settings for t in found.trials if t.failure]
    assert failed == [{"params.solver": "lbfgs", "params.l1_ratio": 0.5}]
    pair = {"training.precision": ["16-mixed", "32-true"], "training.accelerator": ["cpu", "cuda"]}
    with pytest.raises(ConfigError, match="recipe 'it'"):  # and not a traceback of the schema's
        searching(study, {"training.epochs": [1]}, SMALL).make(
            placed(searching(study, {"training.epochs": [1]}, SMALL).written, {k: v[0] for k, v in pair.items()})
        )


def test_a_span_of_whole_numbers_is_a_grid_and_nothing_is_fitted_twice(make_study):
    study = make_study(patients=10, effect=0.3)
    found = searching(study, {"preprocessing.raman.pca.components": {"low": 1, "high": 3}}, trials=4).find(study, 0)
    assert [t.settings.get("preprocessing.raman.pca.components") for t in found.trials] == [None, 1, 2, 3]
    made = []
    drawing = searching(study, {"preprocessing.raman.pca.components": {"low": 1, "high": 4}}, trials=3)
    counting = replace(drawing, make=lambda section: made.append(section) or drawing.make(section))
    drawn = counting.find(study, 1).trials
    assert len(drawn) == 4
    assert len(made) == 1 + len({t.settings["preprocessing.raman.pca.components"] for t in drawn[1:]})


def test_values_that_json_does_not_have_reach_the_fit(make_study):
    study = make_study()
    weights = {**PLAIN, "params": {"class_weight": {0: 1.0, 1: 5.0}, "C": float("inf")}}
    assert all(t.failure is None for t in searching(study, {"params.tol": [1e-3]}, weights).find(study, 0).trials)


def test_features_of_a_network_with_a_search_of_its_own_are_refused(make_study):
    recipes = {
        "net": {**SMALL, "search": {"space": {"training.lr": [0.1]}}},
        "cut": {"kind": "features", "features": {"from": "net", "stage": "embedding"}, "model": "svm"},
    }
    with pytest.raises(
        ConfigError, match="move it to this recipe, with places that begin with features.features.network"
    ):
        build_recipes(recipes, make_study())


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"space": {}}, "at least 1"),
        ({"space": {"params.C": []}}, "at least 1"),
        ({"space": {"params.C": [1, float("inf")]}}, r"finite numbers, words.*found \[1, inf\]"),
        ({"space": {"params.C": {"low": 2, "high": 1}}}, "`low` must be below `high`; found 2 and 1"),
        ({"space": {"params.C": {"low": 0, "high": 1, "log": True}}}, "`log` needs a `low` above 0; found 0"),
        ({"space": {"params.C": {"low": 1, "high": float("inf")}}}, "two finite ends; found 1.* and inf"),
        ({"space": {"params.C": [1]}, "trials": 0}, "greater than 0"),
        ({"space": {"params.C": [1]}, "metric": "f1"}, "'log_loss', 'balanced_accuracy' or 'auroc'"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(search, told):
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(ClassicalConfig).validate_python({**PLAIN, "search": search})
