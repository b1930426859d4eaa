"""ROC band, confusion and net benefit against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_curve

from polydx.errors import PolydxError
from polydx.validation.curves import confusion, net_benefit, roc_band


def test_the_roc_curve_is_that_of_scikit_learn_and_lies_in_its_band():
    rng = np.random.default_rng(0)
    patients = np.concatenate([np.arange(20), rng.integers(20, size=80)])
    labels = patients % 2 == 0
    scores = np.round(labels + rng.normal(size=100), 1)
    band = roc_band(labels, scores, patients, 200, rng, grid=np.linspace(0, 1, 41))
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(band.tpr, np.interp(band.fpr, fpr, tpr))
    assert (band.low <= band.tpr + 1e-9).mean() > 0.95
    assert (band.high >= band.tpr - 1e-9).mean() > 0.95
    assert (band.high - band.low)[5:20].min() > 0


def test_seeds_are_averaged_curve_by_curve():
    rng = np.random.default_rng(1)
    labels, scores = np.arange(30) % 2 == 0, rng.normal(size=(2, 30))
    both, one, other = (roc_band(labels, s, np.arange(30), 10, np.random.default_rng(0)).tpr for s in (scores, *scores))
    np.testing.assert_allclose(both, (one + other) / 2)


def test_a_roc_curve_of_one_class_is_refused():
    with pytest.raises(PolydxError, match="both classes"):
        roc_band(np.ones(4, dtype=bool), np.arange(4.0), np.arange(4), 10, np.random.default_rng(0))


def test_confusion_matches_scikit_learn_and_leaves_out_what_was_not_tested():
    rng = np.random.default_rng(0)
    labels, decided = rng.integers(3, size=50), rng.integers(3, size=50)
    np.testing.assert_array_equal(confusion(labels, decided, 3), confusion_matrix(labels, decided, labels=range(3)))
    assert confusion(np.array([0, -1, 1]), np.array([-1, 0, 1]), 2).tolist() == [[0, 0], [0, 1]]


def test_net_benefit_by_hand():
    labels, scores = np.array([True, True, False, False, False]), np.array([0.9, 0.3, 0.6, 0.2, 0.1])
    found = net_benefit(labels, scores, np.array([0.25, 0.5]))
    np.testing.assert_allclose(found.model, [2 / 5 - 1 / 5 * (1 / 3), 1 / 5 - 1 / 5])
    np.testing.assert_allclose(found.treat_all, [2 / 5 - 3 / 5 * (1 / 3), 2 / 5 - 3 / 5])


def test_a_decision_threshold_of_one_is_refused():
    with pytest.raises(PolydxError, match="strictly between 0 and 1"):
        net_benefit(np.array([True]), np.array([0.5]), np.array([0.5, 1.0]))
