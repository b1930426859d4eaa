"""Baselines that are polynomials."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from polydx.errors import Problem
from polydx.preprocessing.spectra.base import SpectralStep, Values, check_axis


class PolynomialBaseline(SpectralStep):
    """Subtract a polynomial fitted to each spectrum.

    Args:
        order: degree of the polynomial.
        method: `modpoly` fits again and again, each time with the spectrum cut down to the last fit, so that bands lose
            their pull; `imodpoly` cuts at one standard deviation of the residuals above it, so that noise is not cut;
            `plain` fits once, for spectra without bands.
        max_iter: most rounds.
        tol: a spectrum is done when its fit (`imodpoly`: the deviation) changes by less, relative to what it was.
        axis: (L,) axis of the spectra in cm^-1; without one, points count as evenly spaced. A pipeline gives it.

    Raises:
        ConfigError: the order is not below the number of points.

    References: Lieber & Mahadevan-Jansen (2003), Applied Spectroscopy 57(11), 1363-1367; Zhao et al. (2007), Applied
    Spectroscopy 61(11), 1225-1232. Same rounds and stops as `pybaselines.polynomial` (`imodpoly` with
    `mask_initial_peaks=False`).
    """

    min_points: ClassVar[int] = 2

    def __init__(
        self,
        order: Annotated[int, Field(ge=0, le=20)] = 5,
        method: Literal["modpoly", "imodpoly", "plain"] = "modpoly",
        max_iter: Annotated[int, Field(ge=1)] = 250,
        tol: Annotated[float, Field(gt=0)] = 1e-3,
        axis: ArrayLike | None = None,
    ) -> None:
        self.order = order
        self.method = method
        self.max_iter = max_iter
        self.tol = tol
        self.axis = axis

    def problems(self, points: int | None) -> list[Problem]:
        """Return whether spectra of so many points are too short for the order."""
        if points is None or self.order < points:
            return []
        return [Problem("polynomial_baseline.order", f"is {self.order}, not below the {points} points of the spectra")]

    def baseline(self, values: Values) -> Values:
        """Return the (N, L) baselines of (N, L) spectra."""
        axis = np.arange(values.shape[1], dtype=np.float64) if self.axis is None else check_axis(self.axis)
        basis = orthonormal_polynomials(axis, self.order)
        if self.method == "plain":
            return project(values, basis)
        return _iterated(values, basis, self.max_iter, self.tol, improved=self.method == "imodpoly")

    def _transform(self, values: Values) -> Values:
        return values - self.baseline(values)


def orthonormal_polynomials(axis: Values, order: int) -> Values:
    """Return (order + 1, L) polynomials of degree 0 to `order`, orthonormal over the points of the axis."""
    scaled = 2 * (axis - axis[0]) / (axis[-1] - axis[0]) - 1
    return np.ascontiguousarray(np.linalg.qr(np.polynomial.legendre.legvander(scaled, order))[0].T)


def project(values: Values, basis: Values) -> Values:
    """Return the least-squares fit of each row, summed polynomial by polynomial so that no row depends on the others.

    Args:
        values: (N, L).
        basis: (order + 1, L) orthonormal rows.
    """
    fit = np.zeros_like(values)
    for polynomial in basis:
        fit += (values * polynomial).sum(axis=1, keepdims=True) * polynomial
    return fit


def _iterated(values: Values, basis: Values, max_iter: int, tol: float, improved: bool) -> Values:
    """Cut the spectra down to their fit and fit again, each spectrum until it is done."""
    baselines = project(values, basis)
    left, cut, fit = np.arange(len(values)), values, baselines.copy()
    spread = (cut - fit).std(axis=1, keepdims=True)
    for _ in range(max_iter):
        cut = np.minimum(cut, fit + spread if improved else fit)
        renewed = project(cut, basis)
        deviation = (cut - renewed).std(axis=1, keepdims=True)
        if improved:
            done = np.abs(deviation - spread)[:, 0] < tol * np.maximum(deviation[:, 0], np.finfo(float).tiny)
        else:
            done = _norm(renewed - fit) < tol * np.maximum(_norm(fit), np.finfo(float).tiny)
        baselines[left] = renewed
        left, cut, fit, spread = left[~done], cut[~done], renewed[~done], deviation[~done]
        if len(left) == 0:
            break
    return baselines


def _norm(values: Values) -> Values:
    return np.asarray(np.sqrt(np.square(values).sum(axis=1)))
