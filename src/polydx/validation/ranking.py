"""AUROC and average precision under many sets of weights, from one sort."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polydx.study import IntArray
from polydx.validation.clusters import row_chunks

Floats = NDArray[np.float64]


def weighted_ranking(
    scores: Floats, positives: NDArray[np.bool_], weights: Floats, clusters: IntArray
) -> tuple[Floats, Floats]:
    """Return AUROC and average precision for each row of weights; tied scores count half, and as one step.

    Args:
        scores: (N,) higher means more likely positive.
        positives: (N,) true class.
        weights: (R, P) weights of clusters.
        clusters: (N,) cluster of each unit.

    Returns:
        (R,) area under the ROC curve, NaN where a side has no weight; (R,) average precision (the step sum of
        precision over recall), NaN where no positive has weight.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    members, positive = clusters[order], positives[order].astype(np.float64)
    auroc, precision = np.empty(len(weights)), np.empty(len(weights))
    for rows in row_chunks(len(weights), len(scores)):
        drawn = weights[rows][:, members]
        called = np.cumsum(drawn, axis=1)
        hits = np.cumsum(drawn * positive, axis=1)
        if len(ends) < len(scores):
            called, hits = called[:, ends], hits[:, ends]
        auroc[rows], precision[rows] = _areas(called, hits)
    return auroc, precision


def _areas(called: Floats, hits: Floats) -> tuple[Floats, Floats]:
    """Return both areas from cumulative weights (r, G): all units called positive, and the true ones among them."""
    step = np.diff(hits, axis=1, prepend=0.0)
    alarms = called - hits
    total_hits, total_alarms = hits[:, -1].copy(), alarms[:, -1]
    # positives of a step beat all negatives below it, and half of those beside it
    beaten = total_alarms[:, None] - alarms
    beaten += 0.5 * np.diff(alarms, axis=1, prepend=0.0)
    hits /= np.maximum(called, np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore", invalid="ignore"):
        auroc = np.einsum("rg,rg->r", step, beaten) / (total_hits * total_alarms)
        precision = np.einsum("rg,rg->r", step, hits) / total_hits
    return auroc, precision
