"""Resampling of patients against a slow plain loop."""

import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from polydx.validation.bootstrap import (
    MOST,
    Sampling,
    bootstrap_interval,
    bootstrap_p,
    draw_patients,
    leave_out,
    patient_strata,
    sampling,
)
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


@pytest.mark.slow
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
    assert np.percentile(fast, [2.5, 97.5]) == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.025)


def test_each_patient_is_left_out_once_and_the_stratum_keeps_its_size():
    strata = np.array([1, 0, 1, 1, 0, 2])
    weights, omitted = leave_out(strata)
    assert omitted.tolist() == [0, 0, 1, 1, 1]
    assert (weights == 0).argmax(axis=1).tolist() == [1, 4, 0, 2, 3]
    for stratum, size in ((0, 2), (1, 3), (2, 1)):
        assert weights[:, strata == stratum].sum(axis=1) == pytest.approx(np.full(5, size))


def test_large_strata_are_left_out_in_groups():
    strata = np.repeat([0, 1], [5 * MOST + 3, 4])
    weights, omitted = leave_out(strata)
    assert weights.shape == (MOST + 4, len(strata))
    left_out = weights[:MOST, strata == 0] == 0
    assert (left_out.sum(axis=0) == 1).all()
    assert set(left_out.sum(axis=1)) == {5, 6}
    assert weights[:MOST, strata == 0].sum(axis=1) == pytest.approx(np.full(MOST, 5 * MOST + 3))
    assert (omitted == [0] * MOST + [1] * 4).all()


def mean_of(values, strata, resamples=20000, seed=0):
    """Resamples and left-out values of a plain mean."""
    weights = draw_patients(strata, resamples, np.random.default_rng(seed))
    without, omitted = leave_out(strata)
    return weights @ values / len(values), without @ values / len(values), omitted


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(2).normal(size=12)
    values = np.concatenate([values, 2 * values.mean() - values])  # symmetric: no acceleration
    draws, left_out, omitted = mean_of(values, np.zeros(24, dtype=int))
    found = sampling(values.mean(), draws, left_out, omitted)
    assert (found.bias, found.acceleration) == pytest.approx((0, 0), abs=0.03)
    assert found.inflation == pytest.approx(np.sqrt(24 / 23))
    assert found.freedom == pytest.approx(23)
    exact = stats.t.interval(0.95, 23, values.mean(), stats.sem(values))
    assert bootstrap_interval(draws, found) == pytest.approx(exact, abs=0.05 * (exact[1] - exact[0]))


def test_the_interval_of_two_strata_has_welchs_degrees_of_freedom():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=6), rng.normal(scale=3, size=20)
    strata = np.repeat([0, 1], [6, 20])
    values = np.concatenate([a * 26 / 6, -b * 26 / 20])  # their mean is mean(a) - mean(b)
    draws, left_out, omitted = mean_of(values, strata)
    found = sampling(a.mean() - b.mean(), draws, left_out, omitted)
    exact = stats.ttest_ind(a, b, equal_var=False)
    assert found.freedom == pytest.approx(exact.df)
    spread = np.sqrt(a.var() / 6 + b.var() / 20)
    assert found.inflation == pytest.approx(np.sqrt(a.var(ddof=1) / 6 + b.var(ddof=1) / 20) / spread)


def test_acceleration_is_a_sixth_of_the_skewness_of_a_mean():
    values = np.random.default_rng(5).exponential(size=40)
    draws, left_out, omitted = mean_of(values, np.zeros(40, dtype=int))
    found = sampling(values.mean(), draws, left_out, omitted)
    assert found.acceleration == pytest.approx(stats.skew(values) / 6 / np.sqrt(40))
    oracle = stats.bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(1))
    plain = found._replace(inflation=1.0, freedom=1e9)
    low, high = oracle.confidence_interval
    assert bootstrap_interval(draws, plain) == pytest.approx((low, high), abs=0.03 * (high - low))


def test_figures_that_no_patient_moves_take_the_width_of_the_smallest_stratum():
    omitted = np.repeat([0, 1], [5, 9])
    found = sampling(0.5, np.linspace(0, 1, 101), np.full(14, 0.5), omitted)
    assert found == pytest.approx(Sampling(0.0, 0.0, np.sqrt(5 / 4), 4.0), abs=1e-9)


def test_values_that_are_not_defined_without_a_patient_do_not_count():
    left_out = np.array([0.4, 0.6, np.nan, 0.5, 0.5, 0.5])
    found = sampling(0.5, np.linspace(0, 1, 101), left_out, np.repeat([0, 1], 3))
    assert np.isfinite(found).all()
    assert found.freedom == pytest.approx(2)


def test_p_is_where_the_interval_first_touches_zero():
    rng = np.random.default_rng(6)
    values = rng.exponential(size=15) - 0.55
    draws, left_out, omitted = mean_of(values, np.arange(15) % 2, resamples=100_000)
    found = sampling(values.mean(), draws, left_out, omitted)
    p = bootstrap_p(draws, found)
    assert 0.005 < p < 0.5
    assert min(np.abs(bootstrap_interval(draws, found, 1 - p))) == pytest.approx(0, abs=0.003)


def test_p_is_never_zero_and_is_two_sided():
    plain = Sampling(bias=0.0, acceleration=0.0, inflation=1.0, freedom=1e9)
    assert bootstrap_p(np.full(999, 0.3), plain) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.full(999, -0.3), plain) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.concatenate([np.full(25, -1.0), np.full(974, 1.0)]), plain) == pytest.approx(52 / 1000)
    assert bootstrap_p(np.zeros(99), plain) == 1.0


def test_two_thousand_resamples_of_all_metrics_take_less_than_a_second():
    rng = np.random.default_rng(0)
    patients = np.concatenate([np.arange(30), rng.integers(30, size=561)])
    labels = (np.arange(30) % 2)[patients]
    p = 1 / (1 + np.exp(-(labels + rng.normal(size=591) - 0.5)))
    weights = draw_patients(patient_strata(labels, patients, 2), 2000, rng)
    start = time.process_time()
    weighted_metrics(np.stack([1 - p, p], axis=1), labels, weights, clusters=patients, nodes=256)
    assert time.process_time() - start < 1.0  # about 0.06 alone on a core
