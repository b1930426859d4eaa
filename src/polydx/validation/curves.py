"""Curves and tables behind the report's figures: ROC with a band, confusion, net benefit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polydx.errors import PolydxError
from polydx.study import IntArray
from polydx.validation.bootstrap import draw_patients, patient_strata

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class RocBand(NamedTuple):
    """True positive rate `tpr` at each false positive rate `fpr`, with pointwise 95 % bounds; all (G,)."""

    fpr: Floats
    tpr: Floats
    low: Floats
    high: Floats


def roc_band(
    labels: Mask,
    scores: Floats,
    patients: IntArray,
    resamples: int,
    rng: np.random.Generator,
    grid: Floats | int = 101,
) -> RocBand:
    """Return the ROC curve, mean over seeds, with a band from resampled patients.

    Args:
        labels: (N,) True for the positive class; both classes must be there.
        scores: (N,), or (S, N) one row a seed.
        patients: (N,) patient codes 0 .. P-1.
        resamples: of patients, stratified by class.
        rng: source of randomness.
        grid: (G,) false positive rates, or how many from 0 to 1.

    Raises:
        PolydxError: one class only.
    """
    if labels.all() or not labels.any():
        raise PolydxError("an ROC curve needs units of both classes; found one class only")
    fpr = np.linspace(0, 1, grid) if isinstance(grid, int) else np.asarray(grid, dtype=np.float64)
    everyone = np.ones((1, int(patients.max()) + 1))
    drawn = draw_patients(patient_strata(labels.astype(np.int64), patients, 2), resamples, rng)
    curves = np.mean(
        [_roc(labels, seed, np.concatenate([everyone, drawn])[:, patients], fpr) for seed in np.atleast_2d(scores)],
        axis=0,
    )
    low, high = np.nanpercentile(curves[1:], [2.5, 97.5], axis=0)
    return RocBand(fpr, curves[0], low, high)


def _roc(labels: Mask, scores: Floats, weights: Floats, grid: Floats) -> Floats:
    """Return (R, G) true positive rates under (R, N) weights; NaN where a class is not drawn."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    rates = []
    for own in (labels[order], ~labels[order]):
        reached = np.cumsum(weights[:, order] * own, axis=1)[:, ends]
        with np.errstate(invalid="ignore"):
            rates.append(np.insert(reached / reached[:, -1:], 0, 0.0, axis=1))
    return np.stack([np.interp(grid, false, true) for true, false in zip(*rates, strict=True)])


def confusion(labels: IntArray, decisions: IntArray, classes: int) -> IntArray:
    """Return (K, K) counts, true class by row and decided class by column.

    Args:
        labels: (N,) true codes.
        decisions: (N,) decided codes; -1 (not tested) counts nowhere.
        classes: K.
    """
    table = np.zeros((classes, classes), dtype=np.int64)
    tested = (labels >= 0) & (decisions >= 0)
    np.add.at(table, (labels[tested], decisions[tested]), 1)
    return table


class NetBenefit(NamedTuple):
    """Net benefit at each threshold of the model, of treating everyone (`treat_all`) and no one (0); all (G,)."""

    thresholds: Floats
    model: Floats
    treat_all: Floats


def net_benefit(labels: Mask, scores: Floats, thresholds: Floats) -> NetBenefit:
    """Return the decision curve: true positives less false positives, weighed by the odds of the threshold, per unit.

    Args:
        labels: (N,) True for the positive class.
        scores: (N,) probability of it; treated from the threshold up.
        thresholds: (G,) strictly between 0 and 1.

    Raises:
        PolydxError: a threshold at or beyond 0 or 1, where the odds are not defined.

    Reference: Vickers & Elkin (2006), Medical Decision Making 26, 565-574.
    """
    if np.any(thresholds <= 0) or np.any(thresholds >= 1):
        raise PolydxError("thresholds of a decision curve must lie strictly between 0 and 1")
    treated = scores[None, :] >= thresholds[:, None]
    odds = thresholds / (1 - thresholds)
    n, prevalence = len(labels), labels.mean()
    model = (treated & labels).sum(axis=1) / n - (treated & ~labels).sum(axis=1) / n * odds
    return NetBenefit(thresholds, model, prevalence - (1 - prevalence) * odds)
