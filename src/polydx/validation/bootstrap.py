"""Resampling of patients: the only thing that is drawn when an interval is made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from polydx.study import IntArray

Floats = NDArray[np.float64]

TIE = 1e-9  # figures closer than this differ by rounding alone
MOST = 100  # sets of patients omitted from a stratum: enough for a variance and a skewness


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


def leave_out(strata: IntArray) -> tuple[Floats, IntArray]:
    """Return weights that omit one patient each, the others of its stratum weighing more to keep its size.

    In a stratum of more than `MOST` patients, that many groups of them are omitted in turn. A patient alone in its
    stratum cannot be omitted.

    Args:
        strata: (P,) stratum of each patient.

    Returns:
        (M, P) weights, and the (M,) stratum that each row omits from.
    """
    rows, omitted = [np.empty((0, len(strata)))], []
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        groups = min(len(members), MOST)
        if groups < 2:
            continue
        kept = np.arange(len(members)) % groups != np.arange(groups)[:, None]
        weights = np.ones((groups, len(strata)))
        weights[:, members] = kept * (len(members) / kept.sum(axis=1, keepdims=True))
        rows.append(weights)
        omitted += [stratum] * groups
    return np.concatenate(rows), np.array(omitted, dtype=np.int64)


class Sampling(NamedTuple):
    """How a figure varies with the patients drawn, as far as its resamples alone do not tell.

    Attributes:
        bias: normal quantile of the share of resamples below the estimate; 0 where it is their median.
        acceleration: how fast the spread grows with the figure; a sixth of the skewness of the influences.
        inflation: standard error over that of the resamples, which is too small by (n - 1) / n in each stratum.
        freedom: degrees of freedom of the standard error (Welch & Satterthwaite).
    """

    bias: float
    acceleration: float
    inflation: float
    freedom: float


def sampling(estimate: float, draws: Floats, left_out: Floats, omitted: IntArray) -> Sampling:
    """Return what the resamples and the figures without one patient say about a figure.

    Args:
        estimate: the figure.
        draws: (R,) the figure under resamples, none NaN.
        left_out: (M,) the figure under the weights of `leave_out`; NaN, where it is not defined without a patient,
            counts as no influence.
        omitted: (M,) strata that `leave_out` returns.
    """
    below = (draws < estimate - TIE).sum() + 0.5 * (np.abs(draws - estimate) <= TIE).sum()
    bias = float(ndtri(np.clip(below / len(draws), 1 / len(draws), 1 - 1 / len(draws))))
    squares, cubes, sizes = [], [], []
    for stratum in np.unique(omitted):
        own = left_out[omitted == stratum]
        known = own[~np.isnan(own)]
        influence = (known.mean() - known) * (1 - 1 / len(own)) if len(known) else known
        squares.append((influence**2).sum())  # the variance of the stratum's share in the figure
        cubes.append((influence**3).sum())
        sizes.append(len(own))
    variances, n = np.array(squares), np.array(sizes)
    if variances.sum() <= TIE**2:
        fewest = min(sizes, default=2)
        return Sampling(bias, 0.0, float(np.sqrt(fewest / (fewest - 1))), float(fewest - 1))
    unbiased = variances * n / (n - 1)
    return Sampling(
        bias,
        float(sum(cubes) / (6 * variances.sum() ** 1.5)),
        float(np.sqrt(unbiased.sum() / variances.sum())),
        float(unbiased.sum() ** 2 / (unbiased**2 / (n - 1)).sum()),
    )


def bootstrap_interval(draws: Floats, found: Sampling, level: float = 0.95) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval of resampled values, widened for few patients.

    The percentiles are those of Efron (1987, JASA 82, 171-185), with the normal quantile replaced by
    Student's t times the inflation of the standard error, as Hesterberg (2015, The American Statistician 69,
    371-386) expands the percentile interval.

    Args:
        draws: (R,) resampled values, none NaN.
        found: bias, acceleration, inflation and degrees of freedom of the figure.
        level: coverage.
    """
    wide = found.inflation * float(stdtrit(found.freedom, (1 + level) / 2))
    low, high = np.quantile(draws, sorted(_share(z, found) for z in (-wide, wide)))
    return float(low), float(high)


def bootstrap_p(differences: Floats, found: Sampling) -> float:
    """Return the two-sided p of "no difference" from resampled differences: the level at which the interval touches 0.

    The share of resamples on either side of 0 (0 counts for both), each with one added so that p is never 0 (Davison &
    Hinkley 1997, section 4.2), is turned back into the quantile of t that stands for it in `bootstrap_interval`.
    """
    count = len(differences) + 1
    below, above = (int(side.sum()) + 1 for side in (differences <= 0, differences >= 0))
    tails = [
        stdtr(found.freedom, sign * _normal(share, found) / found.inflation)
        for sign, share in ((1, below / count), (-1, 1 - above / count))
    ]
    return float(min(1.0, 2 * min(tails)))


def _share(z: float, found: Sampling) -> float:
    """Return the share of resamples below the bound that a normal quantile stands for."""
    moved = found.bias + z
    return float(ndtr(found.bias + moved / max(1 - found.acceleration * moved, TIE)))


def _normal(share: float, found: Sampling) -> float:
    """Return the normal quantile whose bound has this share of resamples below it: the inverse of `_share`."""
    y = float(ndtri(np.clip(share, TIE, 1 - TIE))) - found.bias
    return y / max(1 + found.acceleration * y, TIE) - found.bias
