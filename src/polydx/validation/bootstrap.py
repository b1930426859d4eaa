"""Resampling of patients: the only thing that is drawn when an interval is made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polydx.study import IntArray

Floats = NDArray[np.float64]


def patient_strata(labels: IntArray, patients: IntArray, classes: int) -> IntArray:
    """Return (P,) stratum of each patient: the class most of their units have (the first of equals).

    Args:
        labels: (N,) class codes, none missing.
        patients: (N,) codes 0 .. P-1, each present.
        classes: number of classes.
    """
    counts = np.zeros((int(patients.max(initial=-1)) + 1, classes), dtype=np.int64)
    np.add.at(counts, (patients, labels), 1)
    return np.asarray(counts.argmax(axis=1), dtype=np.int64)


def draw_patients(strata: IntArray, resamples: int, rng: np.random.Generator) -> Floats:
    """Draw patients with replacement, as many of each stratum as there are.

    Returns:
        (R, P) how often each patient is drawn; every row sums to P, and within a stratum to its size.
    """
    counts = np.zeros((resamples, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        size = len(members)
        drawn = rng.integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
        counts[:, members] = np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size)
    return counts


def percentile_interval(draws: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the central interval of resampled values, none NaN (Efron & Tibshirani 1993, chapter 13)."""
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def bootstrap_p(differences: Floats) -> float:
    """Return the two-sided p of "no difference" from resampled differences.

    Twice the smaller share of resamples on either side of 0 (0 counts for both), each with one added, so that p is
    never 0: the level at which the percentile interval first touches 0 (Davison & Hinkley 1997, section 4.2 and 5.4).
    """
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1))
