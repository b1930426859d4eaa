"""Are the probabilities true? Calibration slope and intercept under many sets of weights, and the calibration curve."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polydx.study import IntArray
from polydx.validation.clusters import row_chunks, sum_by_cluster
from polydx.validation.intervals import wilson

Floats = NDArray[np.float64]

CLIP = 1e-6  # a probability of exactly 0 or 1 (a forest's vote) counts as logit -13.8 or 13.8
STEPS = 60
LONGEST_STEP = 2.0
TOLERANCE = 1e-8


def logit(probabilities: Floats) -> Floats:
    """Return log(p / (1 - p)), with p kept `CLIP` away from 0 and 1."""
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)


def weighted_recalibration(
    probabilities: Floats,
    positives: NDArray[np.bool_],
    weights: Floats,
    clusters: IntArray,
    *,
    nodes: int | None = None,
) -> tuple[Floats, Floats]:
    """Return calibration slope and intercept for each row of weights.

    The slope is that of an unpenalised logistic regression of the outcome on the logit (1 is right, less means too
    extreme). The intercept is calibration-in-the-large: that of the same regression with the slope held at 1 (0 is
    right, less means probabilities too high). Solved by Newton's method for all rows side by side.

    Args:
        probabilities: (N,) of the class.
        positives: (N,) does the unit belong to the class.
        weights: (R, P) weights of clusters.
        clusters: (N,) cluster of each unit.
        nodes: with more units than this, share each logit between the two nearest of so many equally spaced ones.
            Sums of outcome, logit and their product stay exact; what moves is far below the spread of resamples.

    Returns:
        (R,) slope, NaN where the logits separate the outcomes (no finite slope); (R,) intercept, NaN where only one
        outcome has weight.

    Reference: Van Calster et al. (2019), BMC Medicine 17:230.
    """
    x, y = logit(probabilities), positives.astype(np.float64)
    sums = np.column_stack([y, x * y, 1 - y])
    totals = weights @ sum_by_cluster(sums, clusters, weights.shape[1])  # (R, 3)
    mixed = (totals[:, 0] > 0) & (totals[:, 2] > 0)
    if nodes is not None and len(x) > nodes:
        drawn, x = _onto_grid(x, weights, clusters, nodes)
    else:
        drawn = weights[:, clusters]
    slope, intercept = np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    intercept[mixed] = _solve_offset(drawn[mixed], x, totals[mixed, 0])
    finite = mixed & ~_separated(logit(probabilities), positives, weights, clusters)
    slope[finite] = _solve_slope(drawn[finite], x, totals[finite])
    return slope, intercept


def _onto_grid(x: Floats, weights: Floats, clusters: IntArray, nodes: int) -> tuple[Floats, Floats]:
    """Return (R, G) weights on a grid, and the (G,) grid: linear binning keeps the sum and the mean of `x`."""
    grid = np.linspace(x.min(), x.max(), nodes)
    place = (x - grid[0]) / max(grid[1] - grid[0], np.finfo(np.float64).tiny)
    left = np.clip(place.astype(np.int64), 0, nodes - 2)
    share = np.zeros((weights.shape[1], nodes))
    np.add.at(share, (clusters, left), 1 - (place - left))
    np.add.at(share, (clusters, left + 1), place - left)
    return weights @ share, grid


def _separated(x: Floats, positives: NDArray[np.bool_], weights: Floats, clusters: IntArray) -> NDArray[np.bool_]:
    """Return (R,) True where some cut of the logits has one outcome on each side, or all logits are the same."""
    extremes = np.full((4, weights.shape[1]), np.inf)
    for row, (sign, chosen) in enumerate([(1, positives), (-1, positives), (1, ~positives), (-1, ~positives)]):
        np.minimum.at(extremes[row], clusters[chosen], sign * x[chosen])
    drawn = weights > 0
    low_pos, high_pos, low_neg, high_neg = (np.where(drawn, e, np.inf).min(axis=1) for e in extremes)
    return np.asarray((-high_neg <= low_pos) | (-high_pos <= low_neg))


def _solve_offset(mass: Floats, x: Floats, hits: Floats) -> Floats:
    """Return (R,) the shift `a` with sum mass * sigmoid(x + a) = hits."""
    shift = np.zeros(len(mass))
    for rows in row_chunks(*mass.shape):
        m, a, wanted = mass[rows], shift[rows], hits[rows]
        for _ in range(STEPS):
            p = 1 / (1 + np.exp(-(x + a[:, None])))
            expected = np.einsum("rg,rg->r", m, p)
            p *= 1 - p
            step = (wanted - expected) / np.maximum(np.einsum("rg,rg->r", m, p), np.finfo(np.float64).tiny)
            a += np.clip(step, -LONGEST_STEP, LONGEST_STEP)
            if np.abs(step).max(initial=0.0) < TOLERANCE:
                break
    return shift


def _solve_slope(mass: Floats, x: Floats, totals: Floats) -> Floats:
    """Return (R,) slopes of the weighted logistic regressions; NaN where Newton's method does not settle."""
    if not len(mass):
        return np.empty(0)
    centre, scale = x.mean(), max(x.std(), 1e-12)
    z = (x - centre) / scale
    wanted = np.stack([totals[:, 0], (totals[:, 1] - centre * totals[:, 0]) / scale], axis=1)
    start, settled = _newton(mass.mean(axis=0, keepdims=True), z, wanted.mean(axis=0, keepdims=True), np.zeros((1, 2)))
    if not settled[0]:
        start = np.zeros((1, 2))
    slope = np.empty(len(mass))
    for rows in row_chunks(*mass.shape):
        found, settled = _newton(mass[rows], z, wanted[rows], np.repeat(start, len(mass[rows]), axis=0))
        slope[rows] = np.where(settled, found[:, 1] / scale, np.nan)
    return slope


def _newton(mass: Floats, z: Floats, wanted: Floats, start: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return (r, 2) intercept and slope, and (r,) whether they settled, for weights (r, G) on points (G,)."""
    powers = np.stack([np.ones_like(z), z, z * z], axis=1)
    found, moving = start.copy(), np.arange(len(mass))
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(found[moving, :1] + found[moving, 1:] * z)))
        expected = mass[moving] * p
        curvature = (expected * (1 - p)) @ powers  # (r, 3): h00, h01, h11
        gap = wanted[moving] - expected @ powers[:, :2]
        h00, h01, h11 = curvature.T
        area = np.maximum(h00 * h11 - h01**2, np.finfo(np.float64).tiny)
        step = np.stack([h11 * gap[:, 0] - h01 * gap[:, 1], h00 * gap[:, 1] - h01 * gap[:, 0]], axis=1) / area[:, None]
        size = np.abs(step).max(axis=1)
        found[moving] += step * np.minimum(1.0, LONGEST_STEP / np.maximum(size, LONGEST_STEP))[:, None]
        moving = moving[size > TOLERANCE]
        if not len(moving):
            break
    settled = np.ones(len(mass), dtype=np.bool_)
    settled[moving] = False
    return found, settled


class CalibrationCurve(NamedTuple):
    """One entry a bin that holds units: `predicted` mean probability, `observed` fraction with its interval."""

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    units: IntArray


def calibration_curve(
    labels: NDArray[np.bool_],
    probabilities: Floats,
    *,
    bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "uniform",
    patients: IntArray | None = None,
) -> CalibrationCurve:
    """Return predicted against observed frequency in bins of probability, with Wilson intervals.

    Args:
        labels: (N,) does the unit belong to the class.
        probabilities: (N,) of the class.
        bins: how many, at most.
        strategy: bins of equal width, or of about equal numbers of units.
        patients: (N,) patient codes; if given, an interval is as wide as that many patients allow, since samples of
            one patient are not independent.
    """
    edges = np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        edges = np.unique(np.quantile(probabilities, edges))
    place = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows = []
    for bin_ in np.unique(place):
        inside = place == bin_
        observed = float(labels[inside].mean())
        independent = int(inside.sum()) if patients is None else len(np.unique(patients[inside]))
        rows.append((probabilities[inside].mean(), observed, *wilson(observed, independent), inside.sum()))
    predicted, fraction, low, high, units = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return CalibrationCurve(predicted, fraction, low, high, units.astype(np.int64))
