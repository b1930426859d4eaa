"""Smoothing and derivatives by local polynomials."""

from __future__ import annotations

from functools import lru_cache
from math import factorial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from polydx.errors import AxisError, Problem
from polydx.preprocessing.spectra.base import Axis, SpectralStep, Values, check_axis

UNEVEN = 0.01
"""Most by which a spacing may differ from the median one, as a part of it, on an even axis."""


class SavitzkyGolay(SpectralStep):
    """Fit a polynomial to each window of points and keep its value, or its derivative, at the centre.

    The ends, half a window long, are read off the polynomial of the outermost window, so that no point is made up:
    `scipy.signal.savgol_filter` with `mode="interp"`.

    Args:
        window: points a window, odd.
        order: degree of the polynomial, below `window`.
        derivative: 0 smooths, 1 and 2 also take away offset and slope.
        spacing: unit of the derivative: `points` (per point, the default) or `axis` (per cm^-1, for an even axis).
        axis: (L,) axis of the spectra in cm^-1, for `spacing="axis"`; a pipeline gives it.

    Raises:
        ConfigError: the window is even, not above the order, or longer than the spectra.
        AxisError: `spacing="axis"` without an axis, or with an uneven one.

    Reference: Savitzky & Golay (1964), Analytical Chemistry 36(8), 1627-1639.
    """

    def __init__(
        self,
        window: Annotated[int, Field(ge=1)] = 11,
        order: Annotated[int, Field(ge=0)] = 3,
        derivative: Annotated[int, Field(ge=0)] = 0,
        spacing: Literal["points", "axis"] = "points",
        axis: ArrayLike | None = None,
    ) -> None:
        self.window = window
        self.order = order
        self.derivative = derivative
        self.spacing = spacing
        self.axis = axis

    def problems(self, points: int | None) -> list[Problem]:
        """Return what is wrong with window and order, and with spectra of so many points."""
        found, where = [], "savitzky_golay.window"
        if self.window % 2 == 0:
            found.append(Problem(where, f"expected an odd number of points, found {self.window}"))
        if self.order >= self.window:
            found.append(Problem(where, f"expected more points than the order {self.order}, found {self.window}"))
        if self.derivative > self.order:
            what = f"is {self.derivative}, above the order {self.order}: such a derivative is zero everywhere"
            found.append(Problem("savitzky_golay.derivative", what))
        if points is not None and self.window > points:
            found.append(Problem(where, f"is {self.window} points, longer than the spectra of {points} points"))
        return found

    def axis_out(self, axis: Axis | None) -> Axis | None:
        """Return the axis as it is.

        Raises:
            AxisError: the derivative is wanted per cm^-1 and the axis is missing or uneven.
        """
        self._delta(axis)
        return axis

    def _delta(self, axis: Axis | None) -> float:
        if self.spacing == "points":
            return 1.0
        if axis is None or len(axis) < 2:
            raise AxisError("SavitzkyGolay: `spacing: axis` needs the axis of the spectra: pass `axis`")
        steps = np.diff(axis)
        middle = float(np.median(steps))
        if np.max(np.abs(steps - middle)) > UNEVEN * middle:
            raise AxisError(
                f"SavitzkyGolay: the axis is irregular (steps of {steps.min():g} to {steps.max():g} cm^-1): "
                "resample the spectra first, or use `spacing: points`"
            )
        return float((axis[-1] - axis[0]) / (len(axis) - 1))

    def _transform(self, values: Values) -> Values:
        delta = self._delta(None if self.axis is None else check_axis(self.axis))
        return savitzky_golay(values, self.window, self.order, self.derivative, delta)


def savitzky_golay(values: Values, window: int, order: int, derivative: int = 0, delta: float = 1.0) -> Values:
    """Return `scipy.signal.savgol_filter(..., mode="interp")` of each row, row by row the same in any batch.

    SciPy fits the ends of all rows in one least-squares problem, whose rounding depends on the number of rows; here
    they are weighted sums of the points, added up in a fixed order.

    Args:
        values: (N, L) intensities.
        window: points a window, odd, at most L.
        order: degree of the polynomial, below `window`.
        derivative: order of the derivative.
        delta: spacing of the points.

    Returns:
        (N, L) float64.
    """
    from scipy.ndimage import correlate1d

    half = window // 2
    weights = _weights(window, order, derivative, delta)
    filtered = np.asarray(correlate1d(values, weights[half], axis=1, mode="nearest"), dtype=np.float64)
    for place in range(half):
        filtered[:, place] = _weighted(values[:, :window], weights[place])
        filtered[:, -1 - place] = _weighted(values[:, -window:], weights[-1 - place])
    return filtered


@lru_cache(maxsize=32)
def _weights(window: int, order: int, derivative: int, delta: float) -> Values:
    """Return (window, window): the weights of a window's points for the value at each of its places.

    As `scipy.signal.savgol_coeffs`, whose import alone takes 0.7 s.
    """
    powers = np.arange(order + 1)[:, None]
    wanted = np.zeros(order + 1)
    wanted[derivative] = factorial(derivative) / delta**derivative
    rows = [np.linalg.lstsq((np.arange(window) - float(place)) ** powers, wanted)[0] for place in range(window)]
    found = np.array(rows)
    found.flags.writeable = False
    return found


def _weighted(points: Values, weights: Values) -> Values:
    total = np.zeros(len(points))
    for k, weight in enumerate(weights):
        total += points[:, k] * weight
    return total
