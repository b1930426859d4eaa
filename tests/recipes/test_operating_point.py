from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from polydx.config import ClassicalConfig, OperatingPoint
from polydx.errors import ConfigError
from polydx.recipes.build import build_recipes
from polydx.recipes.kinds import rebuild
from polydx.recipes.out_of_fold import folds_of_tasks, out_of_fold
from polydx.recipes.protocol import Recipe
from polydx.recipes.threshold import candidates, choose_threshold, units
from polydx.splits import inner_folds
from polydx.study import Task

PLAIN = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv", "standardise"]}}
POINTS = [
    {"rule": "youden"},
    {"rule": "sensitivity", "target": 0.9},
    {"rule": "sensitivity", "target": 1.0},
    {"rule": "specificity", "target": 0.8},
    {"rule": "specificity", "target": 1.0},
    {"rule": "cost", "cost": {"false_negative": 5, "false_positive": 1}},
    {"rule": "cost", "cost": {"false_negative": 0.1, "false_positive": 0.3}},
]


def point(**fields):
    return OperatingPoint(**fields)


def recipe(study, operating_point, **changes):
    return build_recipes({"it": {**PLAIN, **changes, "operating_point": operating_point}}, study)["it"]


def value(point, sensitivity, specificity, p, n):
    """What a rule wants most of, a pair that compares; written down a second time, one threshold at a time."""
    if point.rule == "youden":
        return (sensitivity + specificity,)
    if point.rule == "sensitivity":
        return (sensitivity >= point.target - 1e-9, specificity, sensitivity)
    if point.rule == "specificity":
        return (specificity >= point.target - 1e-9, sensitivity, specificity)
    return (-(1 - sensitivity) * p * point.cost.false_negative - (1 - specificity) * n * point.cost.false_positive,)


def rates(scores, positive, threshold):
    called = scores >= threshold
    return (called & positive).sum() / positive.sum(), (~called & ~positive).sum() / (~positive).sum()


def brute_force(scores, positive, point):
    """Try every threshold that could matter."""
    tried = np.unique(np.concatenate([scores, np.nextafter(scores, 2), [0.0, 1.1]]))
    p, n = positive.sum(), (~positive).sum()
    return max(tuple(np.round(value(point, *rates(scores, positive, t), p, n), 9)) for t in tried)


@pytest.mark.parametrize("asked", POINTS, ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_serves_the_rule_better(asked, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    positive = rng.permutation(np.arange(n) < max(1, n // 3))
    scores = np.clip(np.round(rng.normal(0.4 + 0.3 * positive, 0.2), 1 if seed % 2 else 6), 0, 1)
    asked = point(**asked)
    found, _ = choose_threshold(scores, positive, asked)
    own = value(asked, *rates(scores, positive, found), positive.sum(), (~positive).sum())
    assert tuple(np.round(own, 9)) == brute_force(scores, positive, asked)


def test_between_two_scores_the_middle_is_taken():
    scores, positive = np.array([0.1, 0.2, 0.7, 0.9]), np.array([False, False, True, True])
    assert choose_threshold(scores, positive, point(rule="youden")) == (pytest.approx(0.45), None)


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [([0.1, 0.3, 0.5, 0.6, 0.9], "npnpp", 0.55), ([0.1, 0.4, 0.5, 0.7, 0.9], "nnpnp", 0.45)],
)
@pytest.mark.parametrize("cost", [1, 7])
def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken(scores, positive, expected, cost):
    rule = point(rule="cost", cost={"false_negative": cost, "false_positive": cost})
    found, _ = choose_threshold(np.array(scores), np.array(list(positive)) == "p", rule)
    assert found == pytest.approx(expected)


def test_thresholds_rise_and_lie_between_the_scores():
    scores = np.array([0.3, 0.3, np.nextafter(0.3, 1), 0.0, 1.0])
    cuts, levels = candidates(scores), np.unique(scores)
    assert (np.diff(cuts) > 0).all()
    np.testing.assert_array_equal((levels[None] >= cuts[:, None]).sum(axis=1), [4, 3, 2, 1, 0])


@pytest.mark.parametrize(
    ("positive", "told"),
    [([True] * 3, "positives only"), ([False] * 3, "negatives only"), ([], "no labels only")],
)
def test_one_class_is_decided_at_a_half_and_noted(positive, told):
    scores = np.full(len(positive), 0.3)
    found = choose_threshold(scores, np.array(positive, dtype=bool), point(rule="youden"))
    assert found == (0.5, f"inner folds hold {told}; decided at 0.5")


@pytest.mark.parametrize(("rule", "kind"), [("specificity", "positive"), ("sensitivity", "negative")])
def test_a_target_that_costs_a_whole_class_is_noted(rule, kind):
    positive = np.array([rule == "sensitivity", rule == "specificity"])
    _, note = choose_threshold(np.array([0.2, 0.2]), positive, point(rule=rule, target=1.0))
    assert note == f"on inner folds, the operating point '{rule}' decides every {kind} wrongly"


def test_a_unit_is_a_patient_for_a_task_of_patients_and_a_sample_else(make_study):
    study = make_study(patients=2, each=3)
    p = np.column_stack([1 - np.arange(6) / 10, np.arange(6) / 10])
    p[5] = np.nan
    scores, positive = units(study, "disease", p)
    np.testing.assert_allclose(scores, [0.1, 0.35])
    np.testing.assert_array_equal(positive, [False, True])
    by_sample = replace(study, tasks={"disease": Task(("no", "yes"), level="sample", positive="no")})
    scores, positive = units(by_sample, "disease", p)
    np.testing.assert_allclose(scores, [1.0, 0.9, 0.8, 0.7, 0.6])
    np.testing.assert_array_equal(positive, [True, True, True, False, False])


@pytest.mark.parametrize("asked", POINTS[:4], ids=str)
def test_the_threshold_is_the_best_on_what_inner_fits_say_of_patients_they_did_not_see(make_study, asked):
    study = make_study(patients=14, effect=0.3)
    fitted = recipe(study, asked).fit(study, 2)
    plain = build_recipes({"it": PLAIN}, study)["it"]
    held_out = np.full(len(study), np.nan)
    for fold in inner_folds(study, "disease", 5, 2):
        part = plain.fit(study.take(fold.train), 2)
        held_out[fold.test] = part.predict_proba(study.take(fold.test))["disease"][:, 1]
    scores, positive = held_out.reshape(14, 3).mean(axis=1), study.label_codes("disease").reshape(14, 3)[:, 0] == 1
    own = rates(scores, positive, fitted.thresholds["disease"])
    rule = point(**asked)
    assert tuple(np.round(value(rule, *own, 7, 7), 9)) == brute_force(scores, positive, rule)
    if rule.rule == "sensitivity":
        assert own[0] >= rule.target


def test_the_probabilities_are_those_without_an_operating_point(make_study):
    study = make_study()
    with_point = recipe(study, {"rule": "youden"})
    assert isinstance(with_point, Recipe)
    assert (with_point.name, with_point.modalities) == ("it", ("raman",))
    assert with_point.config["operating_point"]["*"]["rule"] == "youden"
    found = with_point.fit(study, 1).predict_proba(study)["disease"]
    own = build_recipes({"it": PLAIN}, study)["it"].fit(study, 1).predict_proba(study)["disease"]
    assert found.tobytes() == own.tobytes()


def test_a_saved_model_keeps_its_threshold(make_study):
    study = make_study()
    fitted = recipe(study, {"rule": "sensitivity", "target": 0.9}).fit(study, 1)
    assert rebuild(*fitted.state()).thresholds == fitted.thresholds
    assert 0 < fitted.thresholds["disease"] < 1


@pytest.mark.parametrize("kind", ["ensemble", "network"])
def test_every_kind_of_recipe_can_have_an_operating_point(make_study, kind):
    study = make_study()
    config = {
        "ensemble": {"members": {"a": PLAIN, "b": {**PLAIN, "operating_point": {"rule": "youden"}}}},
        "network": {"backbones": {"raman": {"name": "cnn", "width": 4}}, "training": {"epochs": 1}},
    }[kind]
    asked = {"kind": kind, "operating_point": {"rule": "youden"}, **config}
    assert list(build_recipes({"it": asked}, study)["it"].fit(study, 0).thresholds) == ["disease"]


def test_each_two_class_task_has_its_own_rule(make_study):
    study = make_study(patients=12)
    tasks = {"disease": Task(("no", "yes")), "sex": Task(("f", "m")), "site": Task(("a", "b", "c"), level="sample")}
    labels = study.labels.assign(sex=np.repeat(np.arange(12) // 2 % 2, 3), site=np.arange(36) % 3)
    study = replace(study, tasks=tasks, labels=labels)
    asked = {"*": {"rule": "youden"}, "sex": {"rule": "sensitivity", "target": 1.0}}
    made = recipe(study, asked)
    assert {n: p.rule for n, p in made.points.items()} == {"disease": "youden", "sex": "sensitivity"}
    assert set(made.fit(study, 0).thresholds) == {"disease", "sex"}
    assert set(recipe(study, {"sex": {"rule": "youden"}}).fit(study, 0).thresholds) == {"sex"}


def test_folds_share_out_the_classes_of_all_tasks(make_study):
    study = make_study(patients=20)
    sex = np.repeat(np.arange(20) // 2 % 2, 3)
    both = replace(
        study, tasks={"disease": Task(("no", "yes")), "sex": Task(("f", "m"))}, labels=study.labels.assign(sex=sex)
    )
    for fold in folds_of_tasks(both, ["disease", "sex"], 0):
        for task in ("disease", "sex"):
            assert sorted(both.label_codes(task)[fold.test]) == [0] * 6 + [1] * 6


def test_a_fold_that_trains_without_a_class_says_nothing_of_the_task(make_study):
    study = make_study(patients=3)
    held_out = out_of_fold(build_recipes({"it": PLAIN}, study)["it"].fit, study, inner_folds(study, "disease", 3, 0), 0)
    silent = np.isnan(held_out["disease"]).all(axis=1)
    np.testing.assert_array_equal(silent, study.label_codes("disease") == 1)


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients_are_decided_at_a_half_and_noted(make_study, patients):
    study = make_study(patients=patients)
    fitted = recipe(study, {"rule": "youden"}).fit(study, 0)
    assert fitted.thresholds == {"disease": 0.5}
    assert "task 'disease': inner folds hold no labels only; decided at 0.5" in fitted.notes


def test_the_threshold_stands_in_the_predictions(make_study):
    from polydx.validation.cross_validation import cross_validate

    study = make_study(patients=8)
    asked = {**PLAIN, "operating_point": {"rule": "sensitivity", "target": 1.0}}
    frame = cross_validate(study, {"it": asked, "plain": PLAIN}, folds=2).predictions
    assert frame.loc[frame.recipe == "it", "threshold"].between(0, 1).all()
    assert frame.loc[frame.recipe == "plain", "threshold"].isna().all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rule": "sensitivity"}, "need it: `target: 0.9`"),
        ({"rule": "youden", "target": 0.9}, "`target` belongs to the rules sensitivity and specificity"),
        ({"rule": "cost"}, "need.* it: `cost: {false_negative: 5, false_positive: 1}`"),
        ({"rule": "youden", "cost": {"false_negative": 5, "false_positive": 1}}, "`cost` belongs to the rule cost"),
        ({"rule": "cost", "cost": {"false_negative": -1, "false_positive": 1}}, "greater than 0"),
        ({"rule": "specificity", "target": 1.5}, "less than or equal to 1"),
        ({"rule": "yuden"}, "'youden', 'sensitivity'"),
        ({"target": 0.9}, "rule"),
        ("youden", "dictionary"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_where_it_is_written(asked, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(ClassicalConfig).validate_python({**PLAIN, "operating_point": asked})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"grade": {"rule": "youden"}}, "recipes.it.operating_point.grade +'grade' is none of site"),
        ({"site": {"rule": "youden"}}, "'site' has 3 classes; a threshold decides between two"),
        ({"rule": "youden"}, "recipes.it.operating_point +the study has no task of two classes"),
    ],
)
def test_an_operating_point_without_a_task_for_it_is_refused(make_study, asked, message):
    study = make_study()
    three = replace(
        study,
        tasks={"site": Task(("a", "b", "c"), level="sample")},
        labels=study.labels.assign(site=np.arange(24) % 3)[["site"]],
    )
    with pytest.raises(ConfigError, match=message):
        recipe(three, asked)
