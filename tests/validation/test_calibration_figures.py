"""Calibration slope, intercept and curve against statsmodels and by hand."""

import numpy as np
import pytest
import statsmodels.api as sm

from polydx.validation.calibration import calibration_curve, logit, weighted_recalibration
from polydx.validation.intervals import wilson


def simulate(rng, n, slope=0.6, shift=-0.4):
    x = rng.normal(scale=2.0, size=n)
    y = rng.random(n) < 1 / (1 + np.exp(-(shift + slope * x)))
    return 1 / (1 + np.exp(-x)), y


def statsmodels_fit(p, y, w):
    x, kept = logit(p), w > 0
    family = sm.families.Binomial()
    slope = sm.GLM(y[kept] * 1.0, sm.add_constant(x[kept]), family=family, freq_weights=w[kept]).fit(tol=1e-12)
    offset = sm.GLM(y[kept] * 1.0, np.ones(kept.sum()), family=family, freq_weights=w[kept], offset=x[kept])
    return slope.params[1], offset.fit(tol=1e-12).params[0]


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.05, 0.5), (3.0, -1.0), (-0.5, 0.0)])
def test_slope_and_intercept_match_unpenalised_logistic_regression(slope, shift):
    rng = np.random.default_rng(8)
    p, y = simulate(rng, 200, slope, shift)
    patients, weights = rng.integers(20, size=200), rng.integers(0, 4, size=(15, 20)).astype(float)
    slopes, intercepts = weighted_recalibration(p, y, weights, patients)
    for row, drawn in enumerate(weights):
        expected = statsmodels_fit(p, y, drawn[patients])
        assert (slopes[row], intercepts[row]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_grid_of_logits_moves_the_slope_far_less_than_resampling_does():
    rng = np.random.default_rng(4)
    p, y = simulate(rng, 2000)
    patients, weights = rng.integers(60, size=2000), rng.integers(0, 4, size=(50, 60)).astype(float)
    exact, shift = weighted_recalibration(p, y, weights, patients)
    gridded, shift_gridded = weighted_recalibration(p, y, weights, patients, nodes=256)
    assert np.abs(exact - gridded).max() < 0.01 * exact.std()
    assert np.abs(shift - shift_gridded).max() < 0.01 * shift.std()


def test_separated_outcomes_have_no_slope_but_an_intercept():
    p, y = np.array([0.1, 0.2, 0.7, 0.7, 0.9]), np.array([False, False, False, True, True])
    slope, intercept = weighted_recalibration(p, y, np.ones((1, 5)), np.arange(5))
    assert np.isnan(slope[0])  # the two 0.7 touch, yet the likelihood still rises without end
    assert np.isfinite(intercept[0])


def test_equal_probabilities_have_no_slope_and_one_outcome_has_no_intercept():
    same = weighted_recalibration(np.full(4, 0.3), np.array([True, False, True, False]), np.ones((1, 4)), np.arange(4))
    assert np.isnan(same[0][0])
    assert same[1][0] == pytest.approx(-np.log(0.3 / 0.7))
    one = weighted_recalibration(np.array([0.2, 0.4]), np.array([True, True]), np.ones((1, 2)), np.arange(2))
    assert np.isnan(one[0][0])
    assert np.isnan(one[1][0])


def test_certain_probabilities_are_clipped_not_infinite():
    assert logit(np.array([0.0, 1.0])) == pytest.approx([-np.log(1e6 - 1), np.log(1e6 - 1)], rel=1e-6)


def test_the_curve_counts_each_bin_and_bounds_it_by_wilson():
    p = np.array([0.05, 0.15, 0.15, 0.95, 1.0])
    y = np.array([False, True, False, True, True])
    curve = calibration_curve(y, p, bins=10)
    np.testing.assert_allclose(curve.predicted, [0.05, 0.15, 0.975])
    np.testing.assert_allclose(curve.observed, [0, 0.5, 1])
    assert curve.units.tolist() == [1, 2, 2]
    np.testing.assert_allclose(np.stack([curve.low, curve.high], axis=1)[1], wilson(0.5, 2))


def test_samples_of_one_patient_do_not_narrow_the_curve():
    rng = np.random.default_rng(0)
    p, y = np.full(50, 0.42), rng.random(50) < 0.4
    free, bound = calibration_curve(y, p), calibration_curve(y, p, patients=np.arange(50) // 10)
    assert bound.high[0] - bound.low[0] > 2 * (free.high[0] - free.low[0])


def test_quantile_bins_hold_about_the_same_number():
    rng = np.random.default_rng(1)
    curve = calibration_curve(rng.random(100) < 0.5, rng.random(100) ** 3, bins=5, strategy="quantile")
    assert curve.units.tolist() == [20] * 5
