"""Resampling of patients against a slow plain loop."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from polydx.validation.bootstrap import bootstrap_p, draw_patients, patient_strata, percentile_interval
from polydx.validation.metrics import weighted_metrics


def test_strata_are_the_class_most_samples_have():
    labels, patients = np.array([0, 0, 1, 1, 1, 2, 0, 1]), np.array([0, 0, 0, 1, 1, 2, 3, 3])
    assert patient_strata(labels, patients, 3).tolist() == [0, 1, 2, 0]


def test_each_resample_keeps_the_size_of_each_stratum():
    strata = np.array([0, 1, 1, 0, 2, 1, 0, 0])
    counts = draw_patients(strata, 500, np.random.default_rng(0))
    for stratum, size in ((0, 4), (1, 3), (2, 1)):
        assert (counts[:, strata == stratum].sum(axis=1) == size).all()
    assert (counts[:, 4] == 1).all()


def test_draws_follow_the_multinomial():
    counts = draw_patients(np.zeros(10, dtype=int), 20000, np.random.default_rng(1))
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    assert counts.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.05)
    assert np.cov(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-0.1, abs=0.03)


def test_the_same_generator_gives_the_same_draws():
    strata = np.arange(30) % 3
    one, other = (draw_patients(strata, 50, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def slow_bootstrap(scores, labels, patients, resamples, rng):
    """Repeat the rows of each drawn patient, as a textbook would."""
    by_class = [sorted({q for q, y in zip(patients, labels, strict=True) if y == c}) for c in (0, 1)]
    found = []
    for _ in range(resamples):
        drawn = [q for group in by_class for q in rng.choice(group, size=len(group))]
        rows = np.concatenate([np.flatnonzero(patients == q) for q in drawn])
        found.append(roc_auc_score(labels[rows], scores[rows]))
    return np.array(found)


def test_auroc_interval_agrees_with_a_plain_loop_that_repeats_rows():
    rng = np.random.default_rng(3)
    patients = np.concatenate([np.arange(24), rng.integers(24, size=176)])
    labels = (np.arange(24) % 2)[patients]
    scores = labels + rng.normal(size=24)[patients] + rng.normal(size=200)  # patients differ: clustered
    p = 1 / (1 + np.exp(-scores))
    weights = draw_patients(patient_strata(labels, patients, 2), 4000, rng)
    fast = weighted_metrics(np.stack([1 - p, p], axis=1), labels, weights, clusters=patients).overall["auroc"]
    slow = slow_bootstrap(p, labels, patients, 500, rng)
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.01)
    assert fast.std() == pytest.approx(slow.std(), rel=0.1)
    assert percentile_interval(fast) == pytest.approx(percentile_interval(slow), abs=0.025)


def test_p_is_never_zero_and_is_two_sided():
    assert bootstrap_p(np.full(999, 0.3)) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.full(999, -0.3)) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.concatenate([np.full(25, -1.0), np.full(974, 1.0)])) == pytest.approx(52 / 1000)
    assert bootstrap_p(np.zeros(99)) == 1.0


def test_two_thousand_resamples_of_all_metrics_take_less_than_a_second():
    rng = np.random.default_rng(0)
    patients = np.concatenate([np.arange(30), rng.integers(30, size=561)])
    labels = (np.arange(30) % 2)[patients]
    p = 1 / (1 + np.exp(-(labels + rng.normal(size=591) - 0.5)))
    weights = draw_patients(patient_strata(labels, patients, 2), 2000, rng)
    start = time.process_time()
    weighted_metrics(np.stack([1 - p, p], axis=1), labels, weights, clusters=patients, nodes=256)
    assert time.process_time() - start < 1.0  # about 0.06 alone on a core
