"""Every metric of a classifier under many sets of sample weights at once: the engine behind estimates and resamples.

Shapes: `N` units (samples or patients), `P` clusters (patients), `K` classes, `R` sets of weights. A resample of
patients is a row of counts, so additive metrics are one product `(R, P) @ (P, M)`. NaN marks what is not defined;
`figures` turns it into null and a reason.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polydx.decision import decide as decide  # part of this module's interface
from polydx.study import IntArray
from polydx.validation.calibration import weighted_recalibration
from polydx.validation.clusters import sum_by_cluster
from polydx.validation.ranking import weighted_ranking

Floats = NDArray[np.float64]

RATES = ("sensitivity", "specificity", "ppv", "npv", "f1")
RANKINGS = ("auroc", "average_precision")
RECALIBRATIONS = ("calibration_slope", "calibration_intercept")
ERRORS = ("brier", "log_loss", "ece")
TOP_K = {"top2_accuracy": 2, "top3_accuracy": 3}  # only where there are more classes: else every answer is right
METRICS = ("accuracy", "balanced_accuracy", *TOP_K, *RATES, *RANKINGS, *ERRORS, *RECALIBRATIONS)
PER_CLASS = (*RATES, *RANKINGS, *RECALIBRATIONS)

ECE_BINS = 10
SMALLEST = float(np.finfo(np.float64).eps)  # log loss stays finite, as in scikit-learn


class Scores(NamedTuple):
    """Metrics under `R` sets of weights: `overall[name]` is (R,), `per_class[name]` is (R, K)."""

    overall: dict[str, Floats]
    per_class: dict[str, Floats]


def weighted_metrics(
    probabilities: ArrayLike,
    labels: IntArray,
    weights: ArrayLike,
    *,
    positive: int | None = None,
    thresholds: ArrayLike = 0.5,
    clusters: IntArray | None = None,
    nodes: int | None = None,
) -> Scores:
    """Return all metrics for each row of weights.

    Two classes: sensitivity, PPV, AUROC ... are those of the positive class, the Brier score is the mean of
    (p - y)^2 and the calibration error compares p with y. More classes: macro averages of one-vs-rest figures, the
    Brier score is summed over classes, and the calibration error compares the top probability with being right.
    Top-k accuracy is the share of units whose class is among the k most probable; classes of one probability count in
    their order, as in `decide`.

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) class codes, none missing.
        weights: (R, N), or (R, P) with `clusters`; not negative.
        positive: code of the positive class of two (the second if not given).
        thresholds: scalar or (N,); only for two classes.
        clusters: (N,) column of `weights` that each unit takes its weight from.
        nodes: put the calibration slope on a grid of so many logits (see `weighted_recalibration`).

    Returns:
        `METRICS` overall and `PER_CLASS` per class; NaN where a class is absent, a denominator is 0, ...
    """
    p, w = np.asarray(probabilities, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    n, k = p.shape
    focus = None if k > 2 else (1 if positive is None else positive)
    members = np.arange(n, dtype=np.int64) if clusters is None else clusters
    decisions = decide(p, focus, thresholds)
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = weighted_confusion(labels, decisions, k, w, members)
        per_class = class_rates(counts) | _one_vs_rest(p, labels, w, members, nodes)
        overall = {
            "accuracy": np.einsum("rkk->r", counts) / counts.sum(axis=(1, 2)),
            "balanced_accuracy": per_class["sensitivity"].mean(axis=1),
            **{name: v.mean(axis=1) if focus is None else v[:, focus] for name, v in per_class.items()},
            **_top_k(p, labels, w, members),
            **_errors(p, labels, w, members, focus),
        }
    return Scores({name: overall[name] for name in METRICS}, {name: per_class[name] for name in PER_CLASS})


def weighted_confusion(
    labels: IntArray, decisions: IntArray, classes: int, weights: Floats, clusters: IntArray
) -> Floats:
    """Return (R, K, K) weight of units with true class (row) and decided class (column)."""
    cells = np.zeros((weights.shape[1], classes * classes))
    np.add.at(cells, (clusters, labels * classes + decisions), 1.0)
    return (weights @ cells).reshape(-1, classes, classes)


def class_rates(counts: Floats) -> dict[str, Floats]:
    """Return the one-vs-rest `RATES` of each class, (R, K), from confusion weights (R, K, K); NaN for 0 of 0."""
    hit = np.einsum("rkk->rk", counts)
    missed, alarmed = counts.sum(axis=2) - hit, counts.sum(axis=1) - hit
    cleared = counts.sum(axis=(1, 2))[:, None] - hit - missed - alarmed
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "sensitivity": hit / (hit + missed),
            "specificity": cleared / (cleared + alarmed),
            "ppv": hit / (hit + alarmed),
            "npv": cleared / (cleared + missed),
            "f1": 2 * hit / (2 * hit + missed + alarmed),
        }


def _one_vs_rest(
    p: Floats, labels: IntArray, weights: Floats, clusters: IntArray, nodes: int | None
) -> dict[str, Floats]:
    """Return AUROC, average precision, calibration slope and intercept of each class against the rest, (R, K)."""
    k = p.shape[1]
    found = {name: np.empty((len(weights), k)) for name in (*RANKINGS, *RECALIBRATIONS)}
    for c in range(k):
        own = labels == c
        found["auroc"][:, c], found["average_precision"][:, c] = weighted_ranking(p[:, c], own, weights, clusters)
        if k == 2 and c == 1:  # of two classes, the second's logits are the first's negated
            found["calibration_slope"][:, 1] = found["calibration_slope"][:, 0]
            found["calibration_intercept"][:, 1] = -found["calibration_intercept"][:, 0]
            continue
        slope, intercept = weighted_recalibration(p[:, c], own, weights, clusters, nodes=nodes)
        found["calibration_slope"][:, c], found["calibration_intercept"][:, c] = slope, intercept
    return found


def _top_k(p: Floats, labels: IntArray, weights: Floats, clusters: IntArray) -> dict[str, Floats]:
    """Return the `TOP_K` accuracies, (R,) each; NaN where the task has no more classes than are looked at."""
    n, k = p.shape
    true, before = p[np.arange(n), labels][:, None], np.arange(k) < labels[:, None]
    place = ((p > true) | ((p == true) & before)).sum(axis=1)  # (N,) classes that come before the true one
    right = np.column_stack([np.ones(n), *(place < top for top in TOP_K.values())])
    sums = weights @ sum_by_cluster(right, clusters, weights.shape[1])
    shares = sums[:, 1:] / sums[:, :1]
    return {
        name: shares[:, i] if k > top else np.full(len(sums), np.nan) for i, (name, top) in enumerate(TOP_K.items())
    }


def _errors(p: Floats, labels: IntArray, weights: Floats, clusters: IntArray, focus: int | None) -> dict[str, Floats]:
    """Return Brier score, log loss and expected calibration error, (R,) each."""
    n, k = p.shape
    truth = np.eye(k)[labels]
    squared = (p - truth) ** 2
    if focus is None:
        brier, confidence = squared.sum(axis=1), p.max(axis=1)
        right = (p.argmax(axis=1) == labels).astype(np.float64)
    else:
        brier, confidence, right = squared[:, focus], p[:, focus], truth[:, focus]
    loss = -np.log(np.clip(p[np.arange(n), labels], SMALLEST, 1.0))
    gaps = np.zeros((n, ECE_BINS))
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    gaps[np.arange(n), bins] = confidence - right
    columns = np.column_stack([np.ones(n), brier, loss, gaps])
    sums = weights @ sum_by_cluster(columns, clusters, weights.shape[1])
    total = sums[:, 0]
    return {
        "brier": sums[:, 1] / total,
        "log_loss": sums[:, 2] / total,
        "ece": np.abs(sums[:, 3:]).sum(axis=1) / total,
    }
