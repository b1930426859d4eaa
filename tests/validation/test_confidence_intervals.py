"""Closed-form intervals against statsmodels, published values and their own definitions."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from statsmodels.stats.proportion import proportion_confint

from polydx.validation.intervals import (
    logit_interval,
    mover_mean,
    newcombe_auroc,
    tango_difference,
    wilson,
    z_value,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (1, 20), (13, 20), (20, 20), (29, 30), (1, 1)])
def test_wilson_matches_statsmodels(successes, n):
    assert wilson(successes / n, n) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-9)


def test_twenty_of_twenty_is_not_certainty():
    low, high = wilson(1.0, 20)
    assert low == pytest.approx(0.8389, abs=1e-4)
    assert high == 1.0


def test_logit_interval_stays_inside_and_is_the_delta_method():
    low, high = logit_interval(0.97, 0.03)
    assert 0 < low < 0.97 < high < 1
    half = z_value() * 0.03 / (0.97 * 0.03)
    assert np.log(high / (1 - high)) - np.log(0.97 / 0.03) == pytest.approx(half)


def hanley_mcneil(area, m, n):
    """Variance of Hanley & McNeil (1982), both sizes in the numerator replaced by their mean (Newcombe 2006)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    mean = (m + n) / 2
    return (area * (1 - area) + (mean - 1) * (q1 - area**2) + (mean - 1) * (q2 - area**2)) / (m * n)


@pytest.mark.parametrize(("area", "m", "n"), [(0.8, 12, 31), (0.55, 5, 5), (1.0, 15, 15), (0.0, 10, 20), (0.5, 1, 9)])
def test_bounds_of_an_auroc_lie_z_standard_errors_away(area, m, n):
    for bound in newcombe_auroc(area, m, n):
        if bound not in (0.0, 1.0):
            assert abs(area - bound) == pytest.approx(z_value() * np.sqrt(hanley_mcneil(bound, m, n)), rel=1e-6)


def test_a_perfect_auroc_has_a_lower_bound_that_rises_with_patients():
    few, many = newcombe_auroc(1.0, 10, 10), newcombe_auroc(1.0, 100, 100)
    assert few[1] == many[1] == 1.0
    assert 0.7 < few[0] < many[0] < 1
    mirrored = newcombe_auroc(0.0, 10, 10)
    assert mirrored == pytest.approx((0.0, 1 - few[0]), abs=1e-9)


def test_auroc_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, hits = 0.92, 0
    from scipy.stats import norm

    shift = np.sqrt(2) * norm.ppf(truth)
    for _ in range(400):
        a, b = rng.normal(shift, size=15), rng.normal(size=15)
        low, high = newcombe_auroc((a[:, None] > b).mean(), 15, 15)
        hits += low <= truth <= high
    assert 0.92 <= hits / 400 <= 0.99


def test_the_mean_of_equal_normal_intervals_is_narrower_by_the_root():
    low, high = mover_mean([0.5, 0.7], [(0.4, 0.6), (0.6, 0.8)])
    assert (low, high) == pytest.approx((0.6 - 0.1 / np.sqrt(2), 0.6 + 0.1 / np.sqrt(2)))


def constrained_score(only_a, only_b, n, difference):
    """Score statistic with the nuisance parameter found by maximising the likelihood numerically."""
    rest = n - only_a - only_b

    def loss(q):  # q: chance that only b is right
        cells = ((only_a, q + difference), (only_b, q), (rest, 1 - 2 * q - difference))
        return -sum(count * np.log(max(p, 1e-300)) for count, p in cells if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    q = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return (only_a - only_b - n * difference) / np.sqrt(n * (2 * q + difference * (1 - difference)))


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(12, 2, 50), (3, 7, 30), (1, 1, 20), (5, 0, 30)])
def test_bounds_of_a_paired_difference_solve_the_score_equation(only_a, only_b, n):
    low, high = tango_difference(only_a, only_b, n)
    assert constrained_score(only_a, only_b, n, low) == pytest.approx(z_value(), abs=1e-3)
    assert constrained_score(only_a, only_b, n, high) == pytest.approx(-z_value(), abs=1e-3)


def test_two_recipes_that_agree_on_all_patients_may_still_differ():
    low, high = tango_difference(0, 0, 30)
    assert low == pytest.approx(-high)
    assert 0.05 < high < 0.2
    assert tango_difference(30, 0, 30)[1] == 1.0
    assert tango_difference(0, 30, 30)[0] == -1.0
