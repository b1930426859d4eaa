"""DeLong's covariance against the 1988 paper's data and a loop over its definitions."""

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.metrics import roc_auc_score

from polydx.validation.delong import delong

# Table 1 of DeLong, DeLong & Clarke-Pearson (1988): albumin, total protein, K-G score, benefit of surgery; the 43
# of 49 patients with all three tests, as also analysed in the manual of SAS PROC LOGISTIC
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def plain_delong(scores, positives):
    """Structural components by definition, pair by pair."""

    def beats(x, y):
        return 1.0 if x > y else 0.5 if x == y else 0.0

    own, other = np.flatnonzero(positives), np.flatnonzero(~positives)
    v10 = np.array([[np.mean([beats(s[i], s[j]) for j in other]) for i in own] for s in scores])
    v01 = np.array([[np.mean([beats(s[i], s[j]) for i in own]) for j in other] for s in scores])
    return v10.mean(axis=1), np.cov(v10) / len(own) + np.cov(v01) / len(other)


def test_published_areas_errors_and_test_are_reproduced():
    data = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
    scores = np.stack([data[:, 0], data[:, 1], 10 - data[:, 2]])
    found = delong(scores, data[:, 3] == 1)
    np.testing.assert_allclose(found.aurocs, [0.7366, 0.6478, 0.7258], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), [0.0927, 0.1000, 0.1028], atol=5e-5)
    contrast = np.array([[1.0, 0, -1], [0, 1, -1]])
    difference = contrast @ found.aurocs
    statistic = difference @ np.linalg.solve(contrast @ found.covariance @ contrast.T, difference)
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


@pytest.mark.parametrize("digits", [1, 8])
def test_covariance_matches_a_plain_loop_with_and_without_ties(digits):
    rng = np.random.default_rng(digits)
    positives = rng.random(40) < 0.4
    scores = np.round(rng.normal(size=(3, 40)) + positives, digits)
    aurocs, covariance = plain_delong(scores, positives)
    found = delong(scores, positives)
    np.testing.assert_allclose(found.aurocs, aurocs)
    np.testing.assert_allclose(found.covariance, covariance)
    np.testing.assert_allclose(found.aurocs, [roc_auc_score(positives, s) for s in scores])


@pytest.mark.slow
def test_the_error_of_a_difference_agrees_with_resampled_patients():
    rng = np.random.default_rng(9)
    positives = np.arange(160) % 2 == 0
    first = positives * 1.0 + rng.normal(size=160)
    scores = np.stack([first, first + rng.normal(size=160)])
    difference, error = delong(scores, positives).contrast(np.array([1.0, -1.0]))
    drawn = []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(np.flatnonzero(g), size=80) for g in (positives, ~positives)])
        drawn.append(np.subtract(*delong(scores[:, rows], positives[rows]).aurocs))
    assert np.std(drawn) == pytest.approx(error, rel=0.1)
    assert np.mean(drawn) == pytest.approx(difference, abs=0.01)


def test_equal_scores_have_no_error_and_a_lone_patient_none_that_can_be_estimated():
    rng = np.random.default_rng(2)
    scores = np.repeat(rng.normal(size=(1, 20)), 2, axis=0)
    assert delong(scores, np.arange(20) < 8).contrast(np.array([1.0, -1.0])) == (0.0, 0.0)
    assert np.isnan(delong(scores[:1], np.arange(20) < 1).contrast(np.ones(1))[1])
