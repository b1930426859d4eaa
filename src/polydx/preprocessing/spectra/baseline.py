"""Baselines by asymmetric least squares: a stiff curve that is pulled down below the bands, round by round.

All spectra are worked on at once; one that has converged leaves, so each gets the rounds it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.preprocessing.spectra.base import SpectralStep, Values
from polydx.preprocessing.spectra.penalised import Whittaker

Stiffness: TypeAlias = Annotated[float, Field(gt=0, le=1e10)]
Rounds: TypeAlias = Annotated[int, Field(ge=1)]
Tolerance: TypeAlias = Annotated[float, Field(gt=0)]
Done: TypeAlias = NDArray[np.bool_]

ROWS_AT_ONCE = 1024
"""Spectra worked on together: enough to make vectors long, few enough for memory."""
LARGEST_EXPONENT = 600.0
"""Past it a weight of 1 / (1 + exp(x)) is zero for any purpose, and the exponential would overflow."""
TINY = float(np.finfo(np.float64).tiny)


class Round(NamedTuple):
    """One round of the n spectra that are not done: arrays (L, n), points first, and which round it is, from 1."""

    spectra: Values
    baselines: Values
    weights: Values
    number: int


Reweight: TypeAlias = Callable[[Round], tuple[Values, Done]]
"""New weights (L, n), and which spectra are done (n,)."""


class _Whittaker(SpectralStep):
    """A step that subtracts a penalised least squares baseline."""

    min_points: ClassVar[int] = 2
    lam: float
    max_iter: int

    def baseline(self, values: Values) -> Values:
        """Return the (N, L) baselines of (N, L) spectra."""
        parts = [values[i : i + ROWS_AT_ONCE] for i in range(0, len(values), ROWS_AT_ONCE)]
        found = [reweighted_baseline(part, self.lam, self.max_iter, self._reweight) for part in parts]
        return np.concatenate([np.empty((0, values.shape[1])), *found])

    def _transform(self, values: Values) -> Values:
        return values - self.baseline(values)

    def _reweight(self, now: Round) -> tuple[Values, Done]:
        raise NotImplementedError


class ArPLS(_Whittaker):
    """Subtract an asymmetrically reweighted penalised least squares baseline.

    Args:
        lam: stiffness of the baseline (second differences), up to 1e10.
        max_iter: most rounds of reweighting.
        tol: a spectrum is done when its weights change by less, relative to their norm.

    Reference: Baek et al. (2015), Analyst 140, 250-257. Same rounds and stops as `pybaselines.whittaker.arpls`.
    """

    def __init__(self, lam: Stiffness = 1e5, max_iter: Rounds = 50, tol: Tolerance = 1e-3) -> None:
        self.lam = lam
        self.max_iter = max_iter
        self.tol = tol

    def _reweight(self, now: Round) -> tuple[Values, Done]:
        above = now.spectra - now.baselines
        negative = np.minimum(above, 0.0)
        count = (above < 0).sum(axis=0)
        mean = negative.sum(axis=0) / np.maximum(count, 1)
        variance = (np.square(negative, out=negative).sum(axis=0) - count * mean**2) / np.maximum(count - 1, 1)
        spread = np.sqrt(np.maximum(variance, TINY))
        above -= 2 * spread - mean
        above *= 2 / spread
        renewed = 1 / (1 + np.exp(np.minimum(above, LARGEST_EXPONENT, out=above), out=above))
        return renewed, (count < 2) | (_change(now.weights, renewed) < self.tol)


class AsLS(_Whittaker):
    """Subtract an asymmetric least squares baseline.

    Args:
        lam: stiffness of the baseline (second differences), up to 1e10.
        p: weight of points above the baseline; those below weigh 1 - p.
        max_iter: most rounds of reweighting.
        tol: a spectrum is done when its weights change by less, relative to their norm.

    Reference: Eilers (2004), Analytical Chemistry 76(2), 404-411. Same rounds and stops as
    `pybaselines.whittaker.asls`.
    """

    def __init__(
        self,
        lam: Stiffness = 1e6,
        p: Annotated[float, Field(gt=0, lt=1)] = 0.01,
        max_iter: Rounds = 50,
        tol: Tolerance = 1e-3,
    ) -> None:
        self.lam = lam
        self.p = p
        self.max_iter = max_iter
        self.tol = tol

    def _reweight(self, now: Round) -> tuple[Values, Done]:
        renewed = np.where(now.spectra > now.baselines, self.p, 1 - self.p)
        return renewed, _change(now.weights, renewed) < self.tol


class AirPLS(_Whittaker):
    """Subtract an adaptive iteratively reweighted penalised least squares baseline.

    Args:
        lam: stiffness of the baseline (second differences), up to 1e10.
        max_iter: most rounds of reweighting.
        tol: a spectrum is done when what lies below the baseline is a smaller part of its absolute area.

    Reference: Zhang, Chen & Liang (2010), Analyst 135, 1138-1146. Same rounds and stops as
    `pybaselines.whittaker.airpls`.
    """

    def __init__(self, lam: Stiffness = 1e6, max_iter: Rounds = 50, tol: Tolerance = 1e-3) -> None:
        self.lam = lam
        self.max_iter = max_iter
        self.tol = tol

    def _reweight(self, now: Round) -> tuple[Values, Done]:
        above = now.spectra - now.baselines
        below = above < 0
        negative = np.minimum(above, 0.0)
        total = negative.sum(axis=0)
        renewed = np.exp(min(now.number, 50) * (negative / np.minimum(total, -TINY)))
        renewed[~below] = 0.0
        return renewed, (below.sum(axis=0) < 2) | (-total < self.tol * np.abs(now.spectra).sum(axis=0))


def reweighted_baseline(values: Values, lam: float, max_iter: int, reweight: Reweight) -> Values:
    """Return baselines by rounds of smoothing and reweighting, each spectrum until it is done.

    Args:
        values: (N, L) spectra.
        lam: stiffness.
        max_iter: most rounds after the first; a spectrum that is not done then keeps its last baseline.
        reweight: new weights of a round, and which spectra are done.

    Returns:
        (N, L); a row does not depend on the others.
    """
    baselines = np.empty_like(values)
    left = _two_at_least(np.arange(len(values)))
    spectra = np.ascontiguousarray(values[left].T)
    weights = np.ones_like(spectra)
    smoother = Whittaker(values.shape[1], len(left), lam)
    for number in range(1, max_iter + 2):
        found = smoother.smooth(spectra, weights)
        weights, done = reweight(Round(spectra, found, weights, number))
        if number > max_iter:
            done = np.ones_like(done)
        baselines[left[done]] = found[:, done].T
        if done.all():
            break
        if done.any():
            kept = _two_at_least(np.flatnonzero(~done))
            left, spectra, weights = left[kept], spectra.take(kept, axis=1), weights.take(kept, axis=1)
    return baselines


def _two_at_least(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places, a single one twice: sums over one column alone are rounded in another order than over many."""
    return np.repeat(places, 2) if len(places) == 1 else places


def _change(old: Values, new: Values) -> Values:
    """Return (n,) the norm of the change of the weights of each spectrum, relative to their norm before."""
    before = np.sqrt(np.square(old).sum(axis=0))
    return np.asarray(np.sqrt(np.square(new - old).sum(axis=0)) / np.maximum(before, TINY))
