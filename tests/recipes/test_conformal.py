"""Prediction sets: coverage on new patients, the rule for few patients, ties, labels that are missing."""

import numpy as np
import pandas as pd
import pytest

from polydx.datasets.simulated import simulate_two_class
from polydx.recipes.build import build_recipes
from polydx.recipes.conformal import FEWEST, ConformalScores
from polydx.recipes.conformal_fit import can_narrow, no_scores, scores_of
from polydx.recipes.out_of_fold import held_out
from polydx.study import RowIndex, Spectra, Study, Task

CLASSES = ("a", "b")


def drawn(rng, n):
    """Probabilities of (n, 2) patients and their classes, told apart imperfectly and over-confidently."""
    codes = rng.integers(2, size=n)
    logits = 3 * (rng.standard_normal(n) + np.where(codes == 1, 0.7, -0.7))
    p = 1 / (1 + np.exp(-logits))
    return np.column_stack([1 - p, p]), codes


def scores(probabilities, codes):
    return ConformalScores({"t": {c: np.sort(1 - probabilities[codes == k, k]) for k, c in enumerate(CLASSES)}})


def test_nine_of_ten_patients_of_each_class_are_covered(rng):
    hits = {0: [], 1: []}
    for _ in range(400):
        sets = scores(*drawn(rng, 60)).sets("t", CLASSES, (new := drawn(rng, 40))[0])
        for label in (0, 1):
            own = [CLASSES[label] in s for s, code in zip(sets, new[1], strict=True) if code == label]
            hits[label] += own
    for label in (0, 1):
        assert 0.895 < np.mean(hits[label]) < 0.935  # exact coverage is between 0.9 and 0.9 + 1 / (n + 1), n about 30


def test_sets_are_smaller_where_classes_are_told_apart(rng):
    codes = np.arange(60) % 2
    sure = np.column_stack([1.0 - codes, codes]) * 0.98 + 0.01
    p = np.column_stack([rng.uniform(size=60)] * 2)
    p[:, 1] = 1 - p[:, 0]
    assert all(len(s) == 1 for s in scores(sure, codes).sets("t", CLASSES, sure))
    assert np.mean([len(s) for s in scores(p, codes).sets("t", CLASSES, p)]) > 1.5


def test_fewer_than_nine_patients_of_a_class_leave_no_class_out():
    many = np.linspace(0, 0.1, 50)
    for few, expected in ((FEWEST - 1, ["a", "b"]), (FEWEST, ["a"])):
        held = ConformalScores({"t": {"a": many, "b": np.zeros(few)}})
        assert held.sets("t", CLASSES, np.array([[0.99, 0.01]])) == [expected]


def test_equal_scores_keep_a_class():
    held = ConformalScores({"t": {"a": np.full(20, 0.3), "b": np.full(20, 0.3)}})
    assert held.sets("t", CLASSES, np.array([[0.7, 0.3]])) == [["a"]]


def test_the_p_value_is_the_share_of_patients_at_least_as_odd(rng):
    train, codes = drawn(rng, 50)
    new, _ = drawn(rng, 30)
    held = scores(train, codes)
    for row, found in zip(new, held.sets("t", CLASSES, new), strict=True):
        for k, label in enumerate(CLASSES):
            own = 1 - train[codes == k, k]
            p = (1 + sum(o >= 1 - row[k] for o in own)) / (len(own) + 1)
            assert (label in found) == (p > 0.1)


def study_of(codes, patients):
    index = pd.Index([f"s{i}" for i in range(len(codes))], name="sample", dtype=object)
    n = len(codes)
    return Study(
        "tiny", pd.DataFrame({"patient": np.array(patients, dtype=object)}, index), {"r": Spectra(np.ones((n, 3)), np.arange(3.0))},
        {"r": RowIndex.one_each(n)}, {"t": Task(CLASSES, level="sample")}, pd.DataFrame({"t": codes}, index, dtype="int64"),
    )  # fmt: skip


def test_a_patient_counts_once_a_class_whatever_the_number_of_samples():
    study = study_of([0, 0, 0, 1, -1, 0], ["p", "p", "q", "q", "q", "r"])
    told = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]])
    found = scores_of(study, {"t": told}).scores["t"]
    np.testing.assert_allclose(found["a"], [0.2, 0.4])  # p: mean of 0.1 and 0.3; q: 0.4; r: no fit could tell
    np.testing.assert_allclose(found["b"], [0.2])


@pytest.mark.slow
def test_scores_are_of_fits_that_did_not_see_the_patient_and_repeat():
    study = simulate_two_class(patients=24, spectra_per_patient=2, points=64, effect=0.0)
    recipe = build_recipes({"forest": {"kind": "classical", "model": "random_forest", "params": {"n_estimators": 30}}}, study)["forest"]  # fmt: skip
    found, again = (scores_of(study, held_out(recipe, study, 3)) for _ in range(2))
    assert found.to_json() == again.to_json()
    assert sum(map(len, found.scores["disease"].values())) == 24
    own = recipe.fit(study, 3).predict_proba(study)["disease"]
    seen = 1 - own[np.arange(len(study)), study.label_codes("disease")].mean()
    # A forest knows its own rows; of those it did not see, without any effect, it knows nothing.
    assert np.mean(np.concatenate(list(found.scores["disease"].values()))) > seen + 0.2


def test_below_nine_patients_of_a_class_no_fit_can_narrow_a_set():
    codes = [0] * 9 + [1] * 9
    assert can_narrow(study_of(codes, [f"p{i}" for i in range(18)]))
    few = study_of(codes, [f"p{min(i, 16)}" for i in range(18)])  # two samples of one patient
    assert not can_narrow(few)
    assert no_scores(few).sets("t", CLASSES, np.array([[1.0, 0.0]])) == [list(CLASSES)]


def test_what_is_written_is_read_back():
    held = ConformalScores({"t": {"a": np.array([0.1, 0.2]), "b": np.array([0.3])}})
    back = ConformalScores.from_json(held.to_json())
    assert back.to_json() == held.to_json()


def test_a_difference_as_small_as_that_of_an_exported_model_drops_no_class():
    held = ConformalScores({"t": {"a": np.full(20, 0.3), "b": np.full(20, 0.3)}})
    assert held.sets("t", CLASSES, np.array([[0.7 - 1e-8, 0.3 + 1e-8]])) == [["a"]]


def test_a_mean_beyond_one_by_rounding_is_a_score_of_zero():
    study = study_of([0, 1], ["p", "q"])
    found = scores_of(study, {"t": np.array([[1 + 2e-16 * 4, 0.0], [0.0, 1.0]])}).scores["t"]
    assert found["a"].tolist() == [0.0]
