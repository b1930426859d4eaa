from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from polydx.config import ClassicalConfig
from polydx.errors import ConfigError
from polydx.recipes.build import build_recipes
from polydx.recipes.conformal_fit import scores_of
from polydx.recipes.kinds import rebuild
from polydx.recipes.out_of_fold import held_out
from polydx.recipes.scaling import at_temperature, scaled
from polydx.recipes.temperature import choose_temperature, fit_temperature
from polydx.recipes.threshold import choose_threshold, units
from polydx.recipes.tuned import Tuned
from polydx.study import Task

PLAIN = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv", "standardise"]}}
SMALL = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "training": {"epochs": 1, "patience": None},
}
KINDS = {
    "classical": PLAIN,
    "tree": {**PLAIN, "model": "random_forest", "params": {"n_estimators": 10}},
    "network": SMALL,
    "ensemble": {"kind": "ensemble", "members": {"a": PLAIN, "b": SMALL}},
    "features": {"kind": "features", "features": {"from": SMALL, "stage": "embedding"}, "model": "logistic_regression"},
}


def drawn(rng, n=3000, classes=3, sharp=1.0):
    """Draw classes of what logits say, and return those logits sharpened."""
    logits = rng.normal(size=(n, classes)) * 1.5
    codes = np.array([rng.choice(classes, p=p) for p in softmax(logits, axis=1)])
    return logits * sharp, codes


def built(study, config, **tuned):
    return build_recipes({"it": {**config, **tuned}}, study)["it"]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_temperature_divides_the_logits(rng, temperature):
    logits = rng.normal(size=(40, 4))
    found = at_temperature(softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature, axis=1), atol=1e-12)


def test_the_most_probable_class_stays_and_a_certain_no_has_a_logarithm(rng):
    p = rng.dirichlet(np.ones(3), 200)
    p[:2] = [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    for temperature in (0.05, 0.7, 20.0):
        found = at_temperature(p, temperature)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        np.testing.assert_array_equal(found.argmax(axis=1), p.argmax(axis=1))
    assert 0 < at_temperature(p, 20.0)[0, 1] < 0.3
    assert at_temperature(np.empty((0, 3)), 2.0).shape == (0, 3)
    assert np.isnan(at_temperature(np.full((1, 3), np.nan), 2.0)).all()


def test_tasks_without_a_temperature_stay_to_the_byte(rng):
    p = rng.dirichlet(np.ones(2), 5)
    found = scaled({"a": p, "b": p}, {"b": 2.0})
    assert found["a"] is p
    assert not np.allclose(found["b"], p)


@pytest.mark.parametrize("sharp", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_it_is_what_a_plain_optimiser_finds_on_the_logits(rng, sharp, classes):
    logits, codes = drawn(rng, 3000, classes, sharp)
    found = fit_temperature(softmax(logits, axis=1), codes, np.arange(len(codes)))
    assert found == pytest.approx(sharp, rel=0.15)
    counts = np.bincount(codes, minlength=classes)[codes]
    targets = np.tile((1 / (counts + classes))[:, None], (1, classes))
    targets[np.arange(len(codes)), codes] = (counts + 1) / (counts + classes)
    plain = minimize(lambda t: -(targets * log_softmax(logits / t[0], axis=1)).sum(axis=1).mean(), [1.0], tol=1e-10)
    assert found == pytest.approx(plain.x[0], rel=1e-3)


def test_with_many_units_it_is_the_maximum_likelihood_of_guo(rng):
    logits, codes = drawn(rng, 8_000, 3, 2.5)
    found = fit_temperature(softmax(logits, axis=1), codes, np.arange(len(codes)))
    x, y = torch.tensor(logits), torch.tensor(codes)
    t = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([t], lr=0.1, max_iter=200)

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x / t, y)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert found == pytest.approx(t.item(), rel=0.02)


def test_patients_count_once_with_the_mean_of_their_samples(rng):
    logits, codes = drawn(rng, 400, 2, 3.0)
    owners = np.arange(400)
    once = fit_temperature(softmax(logits, axis=1), codes, owners)
    rows = np.repeat(owners, 1 + owners % 7)  # the same patients, some measured more often
    again = fit_temperature(softmax(logits, axis=1)[rows], codes[rows], rows)
    assert again == pytest.approx(once, rel=1e-6)


def test_a_few_patients_told_rightly_do_not_make_it_certain():
    p = np.array([[0.9, 0.1]] * 6 + [[0.2, 0.8]] * 6)
    found = fit_temperature(p, np.repeat([0, 1], 6), np.arange(12))
    told = at_temperature(p, found)
    assert 0.8 < told[:6, 0].mean() < 0.95
    assert 0.8 < told[6:, 1].mean() < 0.95


def test_what_no_temperature_can_better_is_left_alone():
    assert fit_temperature(np.full((6, 2), 0.5), np.array([0, 1] * 3), np.arange(6)) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_scaled_by_what_its_inner_fits_say(make_study, kind):
    study = make_study(patients=12, effect=0.3)
    plain, recipe = built(study, KINDS[kind]), built(study, KINDS[kind], calibration="temperature")
    assert isinstance(recipe, Tuned)
    fitted, own = recipe.fit(study, 1), plain.fit(study, 1)
    expected, _ = choose_temperature(study, "disease", held_out(plain, study, 1)["disease"])
    assert fitted.temperatures == {"disease": expected}
    assert expected != 1.0
    told = fitted.predict_proba(study)["disease"]
    np.testing.assert_allclose(told, at_temperature(own.predict_proba(study)["disease"], expected), atol=1e-12)
    config, arrays = fitted.state()
    back = rebuild(config, arrays)
    np.testing.assert_allclose(back.predict_proba(study)["disease"], told, atol=1e-6)
    earlier = rebuild({name: value for name, value in config.items() if name != "temperatures"}, arrays)
    assert earlier.temperatures == {}


def test_thresholds_and_sets_are_of_the_scaled_probabilities(make_study):
    study = make_study(patients=24, effect=0.3)
    recipe = built(study, PLAIN, calibration="temperature", operating_point={"rule": "sensitivity", "target": 0.9})
    fitted, told = recipe.fit_and_hold_out(study, 2)
    expected = scaled(held_out(recipe.recipe, study, 2), fitted.temperatures)
    assert told["disease"].tobytes() == expected["disease"].tobytes()
    threshold, _ = choose_threshold(*units(study, "disease", told["disease"]), recipe.points["disease"])
    assert fitted.thresholds == {"disease": threshold}
    assert sum(map(len, scores_of(study, told).scores["disease"].values())) == 24


def test_a_temperature_is_for_all_tasks_or_for_some(make_study):
    study = make_study(patients=12)
    tasks = {"disease": Task(("no", "yes")), "site": Task(("a", "b", "c"), level="sample")}
    study = replace(study, tasks=tasks, labels=study.labels.assign(site=np.arange(36) % 3))
    assert set(built(study, PLAIN, calibration="temperature").fit(study, 0).temperatures) == {"disease", "site"}
    some = built(study, PLAIN, calibration={"*": "temperature", "disease": "none"}).fit(study, 0)
    assert set(some.temperatures) == {"site"}
    assert not isinstance(built(study, PLAIN, calibration="none"), Tuned)
    with pytest.raises(ConfigError, match=r"recipes.it.calibration.sight +unknown task 'sight'; did you mean 'site'?"):
        built(study, PLAIN, calibration={"sight": "temperature"})
    with pytest.raises(ValidationError, match="'none' or 'temperature'"):
        TypeAdapter(ClassicalConfig).validate_python({**PLAIN, "calibration": "platt"})


def test_too_few_patients_are_not_scaled_and_noted(make_study):
    study = make_study(patients=2)
    fitted = built(study, PLAIN, calibration="temperature").fit(study, 0)
    assert fitted.temperatures == {"disease": 1.0}
    assert "task 'disease': inner folds hold no labels; probabilities are not scaled" in fitted.notes


@pytest.mark.parametrize(
    ("right", "told"), [(False, "say next to nothing"), (True, "far less sure than they are right")]
)
def test_a_temperature_at_its_limit_is_noted(make_study, right, told):
    study = make_study(patients=400, each=1)
    codes = study.label_codes("disease")
    sure = 0.505 if right else 0.999
    said = np.where((codes == 1) == (right | (np.arange(400) % 4 < 2)), sure, 1 - sure)
    found, note = choose_temperature(study, "disease", np.column_stack([1 - said, said]))
    assert (found < 0.06) if right else (found > 19)
    assert told in (note or "")
