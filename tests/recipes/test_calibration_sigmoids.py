from __future__ import annotations

import numpy as np

from polydx.recipes.calibration import fit_sigmoids


def test_sigmoids_equal_a_logistic_regression_on_platts_targets(rng):
    import statsmodels.api as sm

    codes = rng.integers(0, 2, 200)
    decisions = rng.normal(size=200) * 3 + codes * 2
    found = fit_sigmoids(decisions, codes, 2)
    n1, n0 = codes.sum(), (1 - codes).sum()
    target = np.where(codes == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    weights = np.where(codes == 1, 100 / n1, 100 / n0)
    fitted = sm.GLM(target, sm.add_constant(decisions), family=sm.families.Binomial(), var_weights=weights).fit()
    np.testing.assert_allclose([found.intercepts[0], found.slopes[0]], fitted.params, rtol=1e-4)


def test_probabilities_sum_to_one_for_any_number_of_classes(rng):
    codes = rng.integers(0, 4, 100)
    decisions = rng.normal(size=(100, 4)) + np.eye(4)[codes]
    p = fit_sigmoids(decisions, codes, 4).probabilities(decisions)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == codes).mean() > 0.5


def test_decisions_of_any_size_are_fitted(rng):
    codes = rng.integers(0, 2, 100)
    decisions = rng.normal(size=100) + codes
    small = fit_sigmoids(decisions, codes, 2).probabilities(decisions)
    large = fit_sigmoids(decisions * 1e9, codes, 2).probabilities(decisions * 1e9)
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_decisions_that_are_all_one_tell_nothing():
    codes = np.array([0, 1, 1, 1])
    p = fit_sigmoids(np.full(4, 0.7), codes, 2).probabilities(np.array([0.7, 100.0]))
    np.testing.assert_allclose(p, 0.5, atol=0.1)
    np.testing.assert_allclose(p[0], p[1])


def test_how_common_a_class_is_among_the_training_patients_is_not_learned(rng):
    """Leaving out a patient changes it, against that patient: noise would be ranked backwards."""
    decisions = rng.normal(size=300)
    few, many = (fit_sigmoids(decisions, (np.arange(300) % k == 0).astype(np.int64), 2) for k in (10, 2))
    np.testing.assert_allclose(few.probabilities(decisions).mean(axis=0), 0.5, atol=0.05)
    np.testing.assert_allclose(many.probabilities(decisions).mean(axis=0), 0.5, atol=0.05)
