from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from polydx.errors import AxisError, BundleError, ConfigError, StudyError
from polydx.recipes.arrays import export_estimator
from polydx.recipes.build import build_recipes
from polydx.recipes.classical import FittedClassical
from polydx.splits import stratified_group_k_fold
from polydx.study import RowIndex, Spectra, Task

STEPS = [{"savitzky_golay": {"window": 11, "order": 3, "derivative": 1}}, "snv", "standardise"]
MODELS = {
    "logistic_regression": {"C": 0.01},
    "svm": {},
    "random_forest": {"n_estimators": 20},
    "xgboost": {"n_estimators": 10},
    "lda": {},
    "pls_da": {"components": 2},
    "linear_svm": {},
    "decision_tree": {},
    "gradient_boosting": {"n_estimators": 10},
    "knn": {},
    "mlp": {"hidden": [8], "epochs": 20, "lr": 0.02},
}


def recipe(study, model="logistic_regression", steps=STEPS, **params):
    config = {"kind": "classical", "model": model, "params": params, "preprocessing": {"raman": steps}}
    return build_recipes({"it": config}, study)["it"]


def three_classes(make_study):
    study = make_study(patients=12, each=3)
    codes = np.repeat(np.arange(12) % 3, 3)
    spectra = study.spectra("raman")
    values = spectra.values + codes[:, None] * 1.5 * np.exp(-(((spectra.axis - 1300) / 40) ** 2)).astype(np.float32)
    return replace(
        study,
        modalities={"raman": Spectra(values, spectra.axis)},
        tasks={"disease": Task(("a", "b", "c"))},
        labels=study.labels.assign(disease=codes),
    )


def plain_probabilities(train, test):
    """The same with scikit-learn and SciPy alone."""

    def prepared(study):
        x = savgol_filter(study.spectra("raman").values.astype(np.float64), 11, 3, deriv=1, axis=1)
        return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)

    scaler = StandardScaler().fit(prepared(train))
    model = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")
    model.fit(scaler.transform(prepared(train)), train.label_codes("disease"))
    return model.predict_proba(scaler.transform(prepared(test)))


def test_logistic_equals_plain_scikit_learn(make_study):
    study = make_study(patients=10)
    for fold in stratified_group_k_fold(study.patients, study.label_codes("disease"), 5, 0):
        train, test = study.take(fold.train), study.take(fold.test)
        found = recipe(train, C=0.01).fit(train, 0).predict_proba(test)["disease"]
        np.testing.assert_allclose(found, plain_probabilities(train, test), atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_saved_model_predicts_as_the_fitted_one(make_study, model, classes):
    study = make_study(patients=12) if classes == 2 else three_classes(make_study)
    fitted = recipe(study, model, **MODELS[model]).fit(study, 3)
    config, arrays = fitted.state()
    again = FittedClassical.from_state(config, arrays)
    expected = fitted.predict_proba(study)["disease"]
    found = again.predict_proba(study)["disease"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    least = 0.5 if model in ("knn", "pls_da", "linear_svm") else 0.8  # noise in 60 dimensions; the middle of 3 classes
    assert (found.argmax(axis=1) == study.label_codes("disease")).mean() > least


@pytest.mark.parametrize("kernel", ["linear", "poly", "sigmoid"])
def test_every_kernel_is_saved_right(make_study, kernel):
    study = three_classes(make_study)
    fitted = recipe(study, "svm", kernel=kernel).fit(study, 0)
    again = FittedClassical.from_state(*fitted.state())
    np.testing.assert_allclose(again.predict_proba(study)["disease"], fitted.predict_proba(study)["disease"], atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_bytes(make_study, model):
    study = make_study()
    made = [recipe(study, model, **MODELS[model]).fit(study, 7).predict_proba(study)["disease"] for _ in range(2)]
    assert made[0].tobytes() == made[1].tobytes()


def test_svm_probabilities_are_calibrated_on_patients_the_machine_did_not_see(make_study):
    """Without signal an SVM still separates its own training rows; calibrated on those it would be certain of itself."""
    study = make_study(patients=40, effect=0.0)
    fitted = recipe(study, "svm", C=100.0).fit(study, 0)
    decisions = fitted.tasks["disease"].estimator.decision_function(fitted.features(study, "input"))
    assert ((decisions > 0) == study.label_codes("disease")).mean() > 0.9
    others = fitted.predict_proba(make_study(patients=40, effect=0.0, seed=1))["disease"]
    assert np.abs(others - 0.5).mean() < 0.15


@pytest.mark.parametrize(("model", "params"), [("svm", {}), ("linear_svm", {}), ("pls_da", {"components": 2})])
@pytest.mark.parametrize("labelled", [1, 0])
def test_a_second_task_with_labels_of_one_patient_does_not_stop_the_fit(make_study, model, params, labelled):
    study = make_study()
    codes = np.where(np.arange(len(study)) < 3 * labelled, np.arange(len(study)) % 2, -1)
    tasks = {"disease": Task(("no", "yes")), "site": Task(("a", "b"), level="sample")}
    study = replace(study, tasks=tasks, labels=study.labels.assign(site=codes))
    fitted = recipe(study, model, **params).fit(study, 0)
    found = fitted.predict_proba(study)
    np.testing.assert_allclose(found["site"].sum(axis=1), 1)
    few = "too few patients to calibrate decision values; taken as log-odds"
    none = "training rows hold no label only; predicted as such"
    assert fitted.notes == [f"task 'site': {few if labelled else none}"]
    if labelled:
        estimator = fitted.tasks["site"].estimator
        decisions = np.ravel(estimator.decision_function(fitted.features(study, "input")))
        np.testing.assert_allclose(found["site"][:, 1], 1 / (1 + np.exp(-decisions)))


def test_folds_that_cannot_be_drawn_leave_decisions_uncalibrated(make_study, monkeypatch):
    def none(*_):
        raise StudyError("a fold would be empty")

    monkeypatch.setattr("polydx.splits.inner_folds", none)
    study = make_study()
    assert "too few patients to calibrate" in recipe(study, "svm").fit(study, 0).notes[0]


def test_nothing_of_the_test_patients_reaches_the_fit(make_study):
    study = make_study(patients=10)
    train = study.take(np.arange(21))
    whole = recipe(train).fit(train, 0).predict_proba(study)["disease"][21:]
    alone = recipe(train).fit(train, 0).predict_proba(study.take(np.arange(21, 30)))["disease"]
    np.testing.assert_array_equal(whole, alone)


def test_samples_without_a_label_change_nothing_but_the_unsupervised_steps(make_study):
    study = make_study(patients=10)
    labels = study.labels.copy()
    labels.iloc[:6] = -1
    part = replace(study, labels=labels)
    steps = ["snv"]  # looks at each spectrum alone
    with_gaps = recipe(part, steps=steps).fit(part, 0).predict_proba(study)["disease"]
    kept = study.take(np.arange(6, 30))
    without = recipe(kept, steps=steps).fit(kept, 0).predict_proba(study)["disease"]
    np.testing.assert_allclose(with_gaps, without, atol=1e-9)


def test_a_child_task_learns_from_its_parents_class_only(make_study):
    study = make_study(patients=12)
    codes = study.label_codes("disease")
    sub = np.where(codes == 1, (np.arange(len(codes)) // 3 // 2) % 2, -1)
    tasks = {"disease": Task(("no", "yes")), "kind": Task(("x", "y"), parent=("disease", "yes"))}
    tree = replace(study, tasks=tasks, labels=study.labels.assign(kind=sub))
    found = recipe(tree).fit(tree, 0).predict_proba(tree)["kind"]
    sick = tree.take(np.flatnonzero(codes == 1))
    alone = replace(sick, tasks={"kind": Task(("x", "y"))}, labels=sick.labels[["kind"]])
    steps = ["snv"]
    np.testing.assert_allclose(
        recipe(tree, steps=steps).fit(tree, 0).predict_proba(alone)["kind"],
        recipe(alone, steps=steps).fit(alone, 0).predict_proba(alone)["kind"],
        atol=1e-9,
    )
    assert found.shape == (36, 2)


def test_one_class_in_training_is_predicted_and_noted(make_study):
    study = make_study(patients=6)
    one = study.take(np.flatnonzero(study.label_codes("disease") == 1))
    fitted = recipe(one).fit(one, 0)
    np.testing.assert_array_equal(fitted.predict_proba(study)["disease"], np.tile([0.0, 1.0], (18, 1)))
    assert fitted.notes == ["task 'disease': training rows hold yes only; predicted as such"]


def test_without_any_label_all_classes_are_alike(make_study):
    study = make_study(patients=6)
    none = replace(study, labels=study.labels * 0 - 1)
    np.testing.assert_array_equal(recipe(none).fit(none, 0).predict_proba(none)["disease"], 0.5)


def test_a_class_missing_from_training_gets_no_probability(make_study):
    study = three_classes(make_study)
    two = study.take(np.flatnonzero(study.label_codes("disease") < 2))
    found = recipe(two).fit(two, 0).predict_proba(study)["disease"]
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_bag_of_spectra_is_averaged(make_study):
    study = make_study(patients=8, each=3)
    first = np.arange(0, 24, 3)
    bags = replace(
        study.take(first),
        modalities=study.modalities,
        rows={"raman": RowIndex.from_lists([[3 * i, 3 * i + 1, 3 * i + 2] for i in range(8)])},
    )
    features = recipe(bags, steps=["snv"]).fit(bags, 0).features(bags, "input")
    own = recipe(study, steps=["snv"]).fit(study, 0).features(study, "input")
    np.testing.assert_allclose(features, own.reshape(8, 3, -1).mean(axis=1))


def test_selection_by_labels_is_fitted_for_each_task(make_study):
    study = make_study(patients=12)
    other = np.repeat((np.arange(12) // 2) % 2, 3)
    both = replace(
        study,
        tasks={"disease": Task(("no", "yes")), "noise": Task(("x", "y"))},
        labels=study.labels.assign(noise=other),
    )
    fitted = recipe(both, steps=["snv", {"select_best": {"k": 5}}]).fit(both, 0)
    assert fitted.inputs["disease"] is not fitted.inputs["noise"]
    config, arrays = fitted.state()
    np.testing.assert_allclose(
        FittedClassical.from_state(config, arrays).predict_proba(both)["noise"],
        fitted.predict_proba(both)["noise"],
        atol=1e-9,
    )


def test_another_axis_is_refused(make_study):
    study = make_study()
    fitted = recipe(study).fit(study, 0)
    spectra = study.spectra("raman")
    moved = replace(study, modalities={"raman": Spectra(spectra.values, spectra.axis + 5)})
    with pytest.raises(AxisError, match=r"is on another axis than the model .*resample first"):
        fitted.predict_proba(moved)


def test_a_classical_recipe_has_one_stage(make_study):
    study = make_study()
    with pytest.raises(ConfigError, match="has no stage 'stage3'; it has 'input'"):
        recipe(study).fit(study, 0).features(study, "stage3")


def test_a_model_without_an_array_form_is_refused():
    from sklearn.dummy import DummyClassifier

    with pytest.raises(BundleError, match="a DummyClassifier cannot be saved as arrays"):
        export_estimator(DummyClassifier())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "logistic_regresion"}, "did you mean 'logistic_regression'"),
        ({"model": "oracle"}, "unknown model 'oracle'; known: logistic_regression"),
        ({"params": {"c": 1.0}}, r"recipes.it.params.c +unknown parameter of logistic_regression; did you mean 'C'"),
        ({"params": {"C": -1.0}}, "recipes.it.params +The 'C' parameter of LogisticRegression must be"),
        ({"model": "xgboost", "params": {"max_depth": "deep"}}, r"recipes.it.params .*(deep|max_depth)"),
        ({"preprocessing": {"ramn": ["snv"]}}, "the study has no modality 'ramn'; it has raman"),
        ({"preprocessing": {"raman": ["snw"]}}, "unknown step 'snw'; did you mean 'snv'"),
        ({"preprocessing": {"raman": [{"savitzky_golay": {"widow": 3}}]}}, "did you mean 'window'"),
        ({"preprocessing": {"raman": [{"crop": {"low": 3000, "high": 4000}}]}}, "crop|600"),
        ({"kind": "classic"}, "classical.*network"),
        ({"modle": "svm"}, "modle"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_is_fitted(make_study, change, message):
    config = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv"]}} | change
    with pytest.raises(ConfigError, match=message):
        build_recipes({"it": config}, make_study())


def test_a_sample_without_the_modality_is_refused_and_a_modality_without_any_too(make_study):
    study = make_study()
    gap = replace(study, rows={"raman": RowIndex.from_lists([[]] + [[i] for i in range(1, 24)])})
    with pytest.raises(StudyError, match="1 sample with no 'raman': p0/s0; leave them out"):
        recipe(gap).fit(gap, 0)
    with pytest.raises(StudyError, match="1 sample with no 'raman'"):
        recipe(study).fit(study, 0).predict_proba(gap)
    none = replace(study, rows={"raman": RowIndex.from_lists([[]] * 24)})
    with pytest.raises(ConfigError, match="no sample has any 'raman': leave it out"):
        build_recipes({"it": {"kind": "classical", "model": "svm"}}, none)
