from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from polydx.errors import BundleError, ConfigError
from polydx.recipes.arrays import ArrayEstimator, export_estimator
from polydx.recipes.build import build_recipes
from polydx.recipes.classical import FittedClassical
from polydx.recipes.estimators import balanced_sample_weights, estimator_problems, fit_estimator, make_estimator
from polydx.recipes.kinds import holds_training_data


def rows(rng, classes, n=60, columns=8):
    codes = np.arange(n) % classes
    return rng.normal(size=(n, columns)) + 1.2 * np.eye(classes, columns)[codes], codes


def fitted(model, x, codes, patients=None, **params):
    return fit_estimator(model, params, x, codes, np.arange(len(x)) // 2 if patients is None else patients, 3)


def runtime(estimator):
    """The same model from its arrays alone."""
    return ArrayEstimator(*export_estimator(estimator))


PLAIN = {
    "lda": ({}, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    "decision_tree": ({"max_depth": 3}, DecisionTreeClassifier(max_depth=3, class_weight="balanced", random_state=3)),
    "gradient_boosting": (
        {"n_estimators": 8},
        GradientBoostingClassifier(n_estimators=8, max_features="sqrt", subsample=0.8, random_state=3),
    ),
    "knn": ({"neighbours": 4, "weights": "distance"}, KNeighborsClassifier(4, weights="distance", algorithm="brute")),
}


@pytest.mark.parametrize("model", PLAIN)
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_equal_plain_scikit_learn(rng, model, classes):
    x, codes = rows(rng, classes)
    other = rng.normal(size=(40, 8))
    params, plain = PLAIN[model]
    expected = plain.fit(x, codes).predict_proba(other)
    np.testing.assert_allclose(runtime(fitted(model, x, codes, **params)).predict_proba(other), expected, atol=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
def test_every_distance_of_neighbours_equals_scikit_learns(rng, metric):
    x, codes = rows(rng, 3)
    expected = KNeighborsClassifier(5, metric=metric).fit(x, codes).predict_proba(x + 0.3)
    np.testing.assert_allclose(fitted("knn", x, codes, metric=metric).predict_proba(x + 0.3), expected)


def test_neighbours_that_are_the_row_itself_decide_alone(rng):
    x, codes = rows(rng, 2)
    own = fitted("knn", x, codes, weights="distance").predict_proba(x)
    np.testing.assert_array_equal(own.argmax(axis=1), codes)
    assert own.max(axis=1).min() == 1


def test_neighbours_are_the_same_a_part_at_a_time(rng, monkeypatch):
    x, codes = rows(rng, 3)
    model = fitted("knn", x, codes)
    whole = model.predict_proba(x)
    monkeypatch.setattr("polydx.recipes.arrays.neighbours.ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(model.predict_proba(x), whole)


@pytest.mark.parametrize("classes", [2, 3])
def test_linear_svm_decisions_equal_plain_scikit_learn(rng, classes):
    x, codes = rows(rng, classes)
    plain = LinearSVC(C=0.1, class_weight="balanced", max_iter=5000, random_state=3).fit(x, codes)
    found = runtime(fitted("linear_svm", x, codes, C=0.1)).decision_function(x)
    np.testing.assert_allclose(found, plain.decision_function(x), atol=1e-9)


def test_pls_decisions_equal_plain_pls_regression_on_plus_and_minus_one(rng):
    x, codes = rows(rng, 2)
    plain = PLSRegression(n_components=3).fit(x, 2.0 * codes - 1)
    found = runtime(fitted("pls_da", x + 100, codes, components=3)).decision_function(x + 100)
    np.testing.assert_allclose(found, plain.predict(x).ravel(), atol=1e-9)


def test_pls_decisions_equal_plain_pls_regression_on_one_target_a_class(rng):
    x, codes = rows(rng, 3)
    plain = PLSRegression(n_components=3, scale=False).fit(x, np.eye(3)[codes])
    found = runtime(fitted("pls_da", x, codes, components=3, scale=False)).decision_function(x)
    np.testing.assert_allclose(found, plain.predict(x), atol=1e-9)


def test_discriminant_analysis_weighs_the_classes_alike(rng):
    x, codes = rows(rng, 2)
    few = np.flatnonzero((codes == 0) | (np.arange(60) < 20))
    plain = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]).fit(x[few], codes[few])
    np.testing.assert_allclose(fitted("lda", x[few], codes[few]).predict_proba(x), plain.predict_proba(x), atol=1e-12)


def test_the_perceptron_runs_without_torch_as_with_it(rng):
    import torch

    x, codes = rows(rng, 3)
    model = fitted("mlp", x, codes, hidden=[8, 4], epochs=3)
    layers = []
    for i in range(3):
        weight = torch.from_numpy(model.arrays[f"weight{i}"])
        layers.append(torch.nn.Linear(weight.shape[1], weight.shape[0]))
        layers[-1].load_state_dict({"weight": weight, "bias": torch.from_numpy(model.arrays[f"bias{i}"])})
        layers.append(torch.nn.ReLU())
    scaled = torch.from_numpy(((x - x.mean()) / x.std()).astype(np.float32))
    with torch.inference_mode():
        expected = torch.nn.Sequential(*layers[:-1])(scaled).softmax(dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(x), expected, atol=1e-6)


def test_the_published_perceptron_is_the_default(rng):
    x, codes = rows(rng, 2, n=20)
    arrays = fitted("mlp", x, codes, epochs=1).arrays
    assert [arrays[f"weight{i}"].shape for i in range(5)] == [(128, 8), (64, 128), (32, 64), (16, 32), (2, 16)]


def test_the_perceptron_stops_by_the_loss_of_inner_patients(rng):
    """Labels without signal: the loss of other patients rises while the training loss falls, so the best epoch is early."""
    x, codes = rows(rng, 2, n=40)
    codes = rng.permutation(codes)
    stopped = fitted("mlp", x, codes, hidden=[32], dropout=0.0, epochs=60, lr=0.02, patience=3)
    let = fitted("mlp", x, codes, hidden=[32], dropout=0.0, epochs=60, lr=0.02, patience=0)
    assert (let.predict_proba(x).argmax(axis=1) == codes).mean() > 0.95
    assert (stopped.predict_proba(x).argmax(axis=1) == codes).mean() < 0.95


@pytest.mark.parametrize("patients", [[0] * 8, [0, 0, 0, 0, 1, 1, 1, 1]])
def test_the_perceptron_learns_from_all_where_no_patient_can_be_spared(rng, patients):
    x = rng.normal(size=(8, 3)) + 3 * np.repeat([[0.0], [1.0]], 4, axis=0)
    model = fitted("mlp", x, np.repeat([0, 1], 4), np.array(patients), hidden=[8], dropout=0.0, epochs=40, lr=0.05)
    np.testing.assert_array_equal(model.predict_proba(x).argmax(axis=1), np.repeat([0, 1], 4))


@pytest.mark.slow
def test_torch_is_not_loaded_until_a_perceptron_is_fitted():
    import subprocess
    import sys

    code = (
        "import sys; from polydx.recipes.estimators import estimator_problems as p; p('mlp', {'epochs': 1}, 'r');"
        "assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize(
    ("model", "kept"), [("knn", True), ("svm", True), ("linear_svm", False), ("decision_tree", False), ("lda", False)]
)
def test_a_model_that_holds_training_rows_says_so(make_study, model, kept):
    study = make_study()
    steps = {"raman": ["standardise"]}
    recipe = build_recipes({"it": {"kind": "classical", "model": model, "preprocessing": steps}}, study)["it"]
    fit = recipe.fit(study, 0)
    config, arrays = fit.state()
    assert holds_training_data(config) is kept
    values = fit.features(study, "input")
    assert any(a.shape[-1:] == (60,) and np.isin(a, values).all() for k, a in arrays.items() if "model" in k) is kept


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("lda", {"solver": "svd"}, "shrinkage not supported"),
        ("lda", {"priors": [0.5, 0.5]}, "unknown parameter of lda"),
        ("linear_svm", {"penalty": "l1", "loss": "hinge"}, "combination of penalty"),
        ("svm", {"decision_function_shape": "ovo"}, "unknown parameter of svm"),
        ("gradient_boosting", {"n_iter_no_change": 3}, "unknown parameter of gradient_boosting"),
        ("xgboost", {"booster": "gblinear"}, "unknown parameter of xgboost"),
        ("decision_tree", {"max_depth": 0}, "max_depth"),
        ("pls_da", {"components": 0}, "greater than or equal to 1"),
        ("pls_da", {"component": 2}, "did you mean 'components'"),
        ("knn", {"weights": "patients"}, "`uniform` or `distance`"),
        ("mlp", {"hidden": []}, "found []"),
        ("mlp", {"random_state": 1}, "unknown parameter 'random_state'"),
    ],
)
def test_parameters_that_cannot_be_are_told_before_a_fit(model, params, message):
    (problem,) = estimator_problems(model, params, "recipes.it")
    assert problem.where.startswith("recipes.it.params")
    assert message in problem.what


@pytest.mark.parametrize("model", ["logistic", "mlpp"])
def test_an_unknown_model_is_not_made(model):
    with pytest.raises(ConfigError, match=f"unknown model '{model}'"):
        make_estimator(model, {}, 0)


def test_more_components_than_rows_are_refused(rng):
    with pytest.raises(ConfigError, match=r"4 components of 3 training rows with 8 features: set `components: 3`"):
        fitted("pls_da", rng.normal(size=(3, 8)), np.array([0, 1, 0]), components=4)


def test_more_neighbours_than_rows_are_refused(rng):
    with pytest.raises(ConfigError, match=r"5 neighbours of 3 training rows: set `neighbours: 3` or less"):
        fitted("knn", rng.normal(size=(3, 8)), np.array([0, 1, 0]))


def test_what_the_library_refuses_in_a_fit_is_told_as_a_matter_of_the_parameters(rng):
    x, codes = rows(rng, 3)
    with pytest.raises(ConfigError, match=r"logistic_regression cannot be fitted to 60 training rows .*liblinear"):
        fitted("logistic_regression", x, codes, solver="liblinear")


def test_arrays_of_an_unknown_kind_are_refused():
    with pytest.raises(BundleError, match="unknown kind of classifier 'oracle'; this polydx knows linear"):
        ArrayEstimator({"kind": "oracle"}, {})


def test_decisions_without_patients_to_calibrate_on_are_taken_as_log_odds(make_study):
    study = make_study(patients=2)
    recipe = build_recipes({"it": {"kind": "classical", "model": "pls_da", "params": {"components": 1}}}, study)["it"]
    fit = recipe.fit(study, 0)
    assert fit.notes == ["task 'disease': too few patients to calibrate decision values; taken as log-odds"]
    decisions = fit.tasks["disease"].estimator.decision_function(fit.features(study, "input"))
    np.testing.assert_allclose(fit.predict_proba(study)["disease"][:, 1], 1 / (1 + np.exp(-decisions)))


def test_preprocessing_is_applied_once_for_all_tasks(make_study, monkeypatch):
    from dataclasses import replace

    from polydx.recipes.inputs import FittedInputs
    from polydx.study import Task

    study = make_study()
    tasks = {"disease": Task(("no", "yes")), "again": Task(("no", "yes"))}
    both = replace(study, tasks=tasks, labels=study.labels.assign(again=study.labels["disease"]))
    calls = []
    own = FittedInputs.features
    monkeypatch.setattr(FittedInputs, "features", lambda self, given: calls.append(1) or own(self, given))
    recipe = build_recipes({"it": {"kind": "classical", "model": "lda"}}, both)["it"]
    found = recipe.fit(both, 0)
    assert len(calls) == 1
    assert isinstance(found, FittedClassical)


def test_boosting_starts_from_classes_of_the_same_weight(rng):
    x, codes = rows(rng, 3)
    few = np.flatnonzero((codes == 0) | (np.arange(60) < 30))
    weights = balanced_sample_weights(codes[few])
    plain = GradientBoostingClassifier(n_estimators=4, max_features="sqrt", subsample=0.8, random_state=3)
    expected = plain.fit(x[few], codes[few], sample_weight=weights).predict_proba(x)
    found = runtime(fitted("gradient_boosting", x[few], codes[few], n_estimators=4)).predict_proba(x)
    np.testing.assert_allclose(found, expected, atol=1e-9)
