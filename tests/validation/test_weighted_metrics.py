"""The weighted engine against scikit-learn, torchmetrics and plain loops."""

import numpy as np
import pytest
from sklearn import metrics as sk

from polydx.validation.metrics import METRICS, PER_CLASS, class_rates, decide, weighted_metrics


def simulate(rng, n, k, patients=12, tied=False):
    labels = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), labels] += 0.8
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    if tied:
        p = np.floor(10 * p) / 10
        p[:, -1] = np.round(1 - p[:, :-1].sum(axis=1), 12)
    return p, labels, rng.integers(patients, size=n)


def sklearn_metrics(p, labels, w, positive, thresholds):
    """All metrics of one set of weights, from scikit-learn."""
    k = p.shape[1]
    codes = np.arange(k)
    decided = p.argmax(axis=1) if positive is None else np.where(p[:, positive] >= thresholds, positive, 1 - positive)
    found = {"accuracy": sk.accuracy_score(labels, decided, sample_weight=w)}
    found["balanced_accuracy"] = sk.balanced_accuracy_score(labels, decided, sample_weight=w)
    each = {
        "sensitivity": [sk.recall_score(labels == c, decided == c, sample_weight=w) for c in codes],
        "specificity": [sk.recall_score(labels != c, decided != c, sample_weight=w) for c in codes],
        "ppv": [sk.precision_score(labels == c, decided == c, sample_weight=w) for c in codes],
        "npv": [sk.precision_score(labels != c, decided != c, sample_weight=w) for c in codes],
        "f1": [sk.f1_score(labels == c, decided == c, sample_weight=w) for c in codes],
        "auroc": [sk.roc_auc_score(labels == c, p[:, c], sample_weight=w) for c in codes],
        "average_precision": [sk.average_precision_score(labels == c, p[:, c], sample_weight=w) for c in codes],
    }
    found |= {name: np.mean(v) if positive is None else v[positive] for name, v in each.items()}
    found["log_loss"] = sk.log_loss(labels, p, sample_weight=w, labels=codes)
    if positive is None:
        found["brier"] = sk.brier_score_loss(labels, p, sample_weight=w, labels=codes)
    else:
        found["brier"] = sk.brier_score_loss(labels == positive, p[:, positive], sample_weight=w)
    return found, each


@pytest.mark.parametrize(("k", "positive"), [(2, 0), (2, 1), (3, None), (7, None)])
@pytest.mark.parametrize("tied", [False, True])
def test_every_metric_matches_scikit_learn_under_weights(k, positive, tied):
    rng = np.random.default_rng(k)
    p, labels, _ = simulate(rng, 150, k, tied=tied)
    thresholds = rng.choice([0.35, 0.5, 0.6], size=150)
    weights = np.stack([np.ones(150), rng.integers(0, 4, size=150), rng.random(150)])
    found = weighted_metrics(p, labels, weights, positive=positive, thresholds=thresholds)
    for row, w in enumerate(weights):
        expected, each = sklearn_metrics(p, labels, w, positive, thresholds)
        for name, value in expected.items():
            assert found.overall[name][row] == pytest.approx(value, abs=1e-10), name
        for name, values in each.items():
            np.testing.assert_allclose(found.per_class[name][row], values, atol=1e-10)


@pytest.mark.parametrize(("k", "top"), [(3, 2), (4, 3), (7, 2), (7, 3)])
def test_top_k_accuracy_matches_scikit_learn_under_weights_of_patients(k, top):
    rng = np.random.default_rng([k, top])
    p, labels, patients = simulate(rng, 150, k)
    weights = np.stack([np.ones(12), rng.integers(0, 4, size=12), rng.random(12)])
    found = weighted_metrics(p, labels, weights, clusters=patients).overall[f"top{top}_accuracy"]
    for row, w in zip(found, weights, strict=True):
        expected = sk.top_k_accuracy_score(labels, p, k=top, sample_weight=w[patients], labels=np.arange(k))
        assert row == pytest.approx(expected, abs=1e-12)


def test_top_k_accuracy_takes_equal_probabilities_in_the_order_of_the_classes_as_decisions_do():
    p = np.array([[0.25, 0.25, 0.25, 0.25]] * 4)
    found = weighted_metrics(p, np.arange(4), np.ones((1, 4))).overall
    assert [found[name][0] for name in ("accuracy", "top2_accuracy", "top3_accuracy")] == [0.25, 0.5, 0.75]


def test_all_metrics_are_there_and_finite_on_ordinary_data():
    p, labels, _ = simulate(np.random.default_rng(0), 80, 4)
    found = weighted_metrics(p, labels, np.ones((2, 80)))
    assert tuple(found.overall) == METRICS
    assert tuple(found.per_class) == PER_CLASS
    assert all(np.isfinite(v).all() and v.shape == (2,) for v in found.overall.values())
    assert all(np.isfinite(v).all() and v.shape == (2, 4) for v in found.per_class.values())


@pytest.mark.parametrize("k", [2, 4])
def test_weights_of_patients_equal_repeated_rows(k):
    rng = np.random.default_rng(5)
    p, labels, patients = simulate(rng, 90, k)
    counts = rng.integers(0, 4, size=(6, 12)).astype(float)
    found = weighted_metrics(p, labels, counts, clusters=patients)
    for row, drawn in enumerate(counts):
        repeated = np.repeat(np.arange(90), drawn[patients].astype(int))
        slow = weighted_metrics(p[repeated], labels[repeated], np.ones((1, len(repeated))))
        for name in METRICS:
            assert found.overall[name][row] == pytest.approx(slow.overall[name][0], abs=1e-7, nan_ok=k == 2), name


def plain_ece(confidence, right, weights, bins=10):
    total = 0.0
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence) if min(int(c * bins), bins - 1) == b]
        mass = sum(weights[i] for i in inside)
        if mass:
            gap = (
                sum(weights[i] * confidence[i] for i in inside) / mass
                - sum(weights[i] * right[i] for i in inside) / mass
            )
            total += mass * abs(gap)
    return total / sum(weights)


@pytest.mark.parametrize("k", [2, 5])
def test_calibration_error_matches_a_plain_loop(k):
    rng = np.random.default_rng(11)
    p, labels, _ = simulate(rng, 120, k)
    p[0] = np.eye(k)[1]  # a probability of exactly 1 belongs to the last bin
    w = rng.integers(0, 3, size=120).astype(float)
    confidence = p[:, 1] if k == 2 else p.max(axis=1)
    right = labels == 1 if k == 2 else p.argmax(axis=1) == labels
    found = weighted_metrics(p, labels, w[None])
    assert found.overall["ece"][0] == pytest.approx(plain_ece(confidence, right.astype(float), w))


@pytest.mark.parametrize("k", [2, 5])
def test_calibration_error_matches_torchmetrics(k):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    p, labels, _ = simulate(np.random.default_rng(3), 200, k)
    target = torch.tensor(labels)
    if k == 2:
        expected = functional.binary_calibration_error(torch.tensor(p[:, 1]), target, n_bins=10)
    else:
        expected = functional.multiclass_calibration_error(torch.tensor(p), target, num_classes=k, n_bins=10)
    found = weighted_metrics(p, labels, np.ones((1, 200)))
    assert found.overall["ece"][0] == pytest.approx(float(expected), abs=1e-6)


def test_order_of_units_does_not_matter():
    rng = np.random.default_rng(2)
    p, labels, patients = simulate(rng, 60, 3, tied=True)
    weights, shuffled = rng.integers(0, 3, size=(4, 12)).astype(float), rng.permutation(60)
    one = weighted_metrics(p, labels, weights, clusters=patients)
    other = weighted_metrics(p[shuffled], labels[shuffled], weights, clusters=patients[shuffled])
    for name in METRICS:
        np.testing.assert_allclose(one.overall[name], other.overall[name], atol=1e-9)


def test_a_class_without_weight_leaves_its_metrics_undefined_and_accuracy_defined():
    p, labels, _ = simulate(np.random.default_rng(1), 40, 2)
    found = weighted_metrics(p, labels, (labels == 0).astype(float)[None])
    undefined = {name for name, v in found.overall.items() if np.isnan(v[0])}
    assert {"sensitivity", "balanced_accuracy", "auroc", "average_precision", "calibration_slope"} <= undefined
    assert not {"accuracy", "specificity", "brier", "log_loss", "ece"} & undefined


def test_a_class_never_predicted_has_no_ppv_but_an_f1_of_zero():
    rates = class_rates(np.array([[[5.0, 0, 1], [2, 0, 1], [0, 0, 4]]]))
    assert np.isnan(rates["ppv"][0, 1])
    assert rates["f1"][0, 1] == 0
    assert rates["sensitivity"][0, 1] == 0


def test_a_probability_on_the_threshold_is_positive_and_equal_probabilities_go_to_the_first_class():
    p = np.array([[0.5, 0.5], [0.51, 0.49]])
    assert decide(p, 1, 0.5).tolist() == [1, 0]
    assert decide(p, 0, np.array([0.5, 0.6])).tolist() == [0, 1]
    assert decide(np.array([[0.4, 0.4, 0.2]]), None).tolist() == [0]


def test_a_wrong_certainty_gives_a_finite_log_loss():
    p = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    loss = weighted_metrics(p, np.array([0, 1, 1]), np.ones((1, 3))).overall["log_loss"][0]
    assert np.isfinite(loss)
    assert loss > 10
