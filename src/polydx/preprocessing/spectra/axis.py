"""Steps and functions that change the wavenumber axis: cut it, or bring spectra onto another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from polydx.errors import AxisError, Problem
from polydx.preprocessing.spectra.base import Axis, SpectralStep, Values, check_axis

How: TypeAlias = Literal["linear", "cubic"]

ROUNDING = 1e-9
"""Part of a step by which an end of a range may miss a point of the axis."""


class Crop(SpectralStep):
    """Keep the points from `low` to `high` cm^-1, both included.

    Args:
        low: first wavenumber kept, from the start if None.
        high: last wavenumber kept, to the end if None.
        axis: (L,) axis of the spectra in cm^-1; a pipeline gives it.

    Raises:
        AxisError: there is no axis, or none of its points lies in the range.
        ConfigError: low is not below high.
    """

    needs_axis: ClassVar[bool] = True

    def __init__(self, low: float | None = None, high: float | None = None, axis: ArrayLike | None = None) -> None:
        self.low = low
        self.high = high
        self.axis = axis

    def problems(self, points: int | None) -> list[Problem]:
        """Return what is wrong with the range."""
        del points
        if self.low is None or self.high is None or self.low < self.high:
            return []
        return [Problem("crop.low", f"expected low below high, found {self.low:g} and {self.high:g}")]

    def axis_out(self, axis: Axis | None) -> Axis | None:
        """Return the points of the axis that are kept."""
        if axis is None:
            return None
        first, end = self._window(axis)
        return axis[first:end]

    def _window(self, axis: Axis) -> tuple[int, int]:
        """Return the first point kept, and the one after the last."""
        low = axis[0] if self.low is None else self.low
        high = axis[-1] if self.high is None else self.high
        first, end = int(np.searchsorted(axis, low, "left")), int(np.searchsorted(axis, high, "right"))
        if first >= end:
            held = f"{axis[0]:g} to {axis[-1]:g} cm^-1"
            raise AxisError(f"Crop: no point of the axis ({held}) lies from {low:g} to {high:g} cm^-1")
        return first, end

    def _transform(self, values: Values) -> Values:
        first, end = self._window(self._given_axis())
        return np.ascontiguousarray(values[:, first:end])


class Resample(SpectralStep):
    """Interpolate spectra onto another axis, never beyond their own.

    The new axis is given point by point (`onto`), or as `start`, `stop` (included) and `step` in cm^-1; an end left out
    is that of the spectra.

    Args:
        onto: (K,) the new axis in cm^-1.
        start: first point of the new axis.
        stop: last point of the new axis.
        step: spacing of the new axis.
        how: `linear`, or `cubic` (a not-a-knot spline).
        tolerance: how far in cm^-1 an end may lie outside, which then takes the value of the edge; half the median
            spacing of the spectra's axis if None.
        axis: (L,) axis of the spectra in cm^-1; a pipeline gives it.

    Raises:
        AxisError: there is no axis, or the new one reaches beyond it.
        ConfigError: neither `onto` nor `step` is given, or both are.
    """

    needs_axis: ClassVar[bool] = True

    def __init__(
        self,
        onto: Sequence[float] | None = None,
        start: float | None = None,
        stop: float | None = None,
        step: Annotated[float, Field(gt=0)] | None = None,
        how: How = "linear",
        tolerance: Annotated[float, Field(ge=0)] | None = None,
        axis: ArrayLike | None = None,
    ) -> None:
        self.onto = onto
        self.start = start
        self.stop = stop
        self.step = step
        self.how = how
        self.tolerance = tolerance
        self.axis = axis

    def problems(self, points: int | None) -> list[Problem]:
        """Return what is wrong with the description of the new axis."""
        del points
        if (self.onto is None) == (self.step is None):
            return [Problem("resample", "expected either `onto` (the points) or `step` (with `start` and `stop`)")]
        if self.onto is not None and (self.start is not None or self.stop is not None):
            return [Problem("resample.onto", "gives all points: leave `start` and `stop` out")]
        if self.start is not None and self.stop is not None and self.start >= self.stop:
            return [Problem("resample.start", f"expected start below stop, found {self.start:g} and {self.stop:g}")]
        return []

    def axis_out(self, axis: Axis | None) -> Axis | None:
        """Return the new axis.

        Raises:
            AxisError: it reaches beyond the axis of the spectra.
        """
        if axis is None:
            return None
        target = self._target(axis)
        _clamped(axis, target, self.tolerance)
        return target

    def _target(self, axis: Axis) -> Axis:
        if self.step is None:
            return check_axis(np.asarray(self.onto))
        start = axis[0] if self.start is None else self.start
        stop = axis[-1] if self.stop is None else self.stop
        if start > stop:
            raise AxisError(f"Resample: start {start:g} lies above stop {stop:g} cm^-1")
        return grid(start, stop, self.step)

    def _transform(self, values: Values) -> Values:
        axis = self._given_axis()
        return resample_onto(values, axis, self._target(axis), self.how, self.tolerance)


def resample_onto(
    values: ArrayLike, from_axis: ArrayLike, to_axis: ArrayLike, how: How = "linear", tolerance: float | None = None
) -> Values:
    """Interpolate spectra from one axis onto another; never extrapolate.

    Args:
        values: (N, L) intensities.
        from_axis: (L,) their axis in cm^-1.
        to_axis: (K,) the wanted axis in cm^-1.
        how: `linear`, or `cubic` (a not-a-knot spline).
        tolerance: how far in cm^-1 an end of `to_axis` may lie outside, which then takes the value of the edge; half
            the median spacing of `from_axis` if None.

    Returns:
        (N, K) float64; a row does not depend on the others.

    Raises:
        AxisError: an axis does not rise, does not fit the spectra, or `to_axis` reaches beyond `from_axis`; the message
            names the range that is missing.
    """
    spectra = np.ascontiguousarray(values, dtype=np.float64)
    source, target = check_axis(from_axis), check_axis(to_axis)
    if spectra.ndim != 2 or spectra.shape[1] != len(source):
        raise AxisError(f"spectra of shape {spectra.shape} do not fit an axis of {len(source)} points")
    target = _clamped(source, target, tolerance)
    if np.array_equal(source, target):
        return spectra.copy()
    if how == "cubic":
        return _cubic(spectra, source, target)
    return _linear(spectra, source, target)


def common_axis(axes: Sequence[ArrayLike]) -> Axis:
    """Return an even axis that all the given ones cover: their overlap, at the coarsest of their median spacings.

    A single axis, or several equal ones, is returned as it is.

    Raises:
        AxisError: there is none, one does not rise, or they have no two points of the new axis in common.
    """
    checked = [check_axis(axis) for axis in axes]
    if not checked:
        raise AxisError("no axis was given, so there is none in common")
    if all(np.array_equal(axis, checked[0]) for axis in checked):
        return checked[0].copy()
    if min(map(len, checked)) < 2:
        raise AxisError("an axis of a single point cannot be brought onto a common one")
    low, high = max(axis[0] for axis in checked), min(axis[-1] for axis in checked)
    step = max(float(np.median(np.diff(axis))) for axis in checked)
    if high - low < step:
        raise AxisError(
            f"the axes do not overlap: one starts at {low:g} and one ends at {high:g} cm^-1; leave one of them out"
        )
    return grid(low, high, step)


def grid(start: float, stop: float, step: float) -> Axis:
    """Return start, start + step, ... up to and including `stop` where it is met."""
    return start + step * np.arange(int(np.floor((stop - start) / step + ROUNDING)) + 1, dtype=np.float64)


def _clamped(source: Axis, target: Axis, tolerance: float | None) -> Axis:
    """Return the target with ends that stick out by no more than the tolerance moved to the edge."""
    allowed = float(np.median(np.diff(source))) / 2 if tolerance is None and len(source) > 1 else tolerance or 0.0
    missing = []
    if target[0] < source[0] - allowed:
        missing.append(f"{target[0]:g} to {source[0]:g}")
    if target[-1] > source[-1] + allowed:
        missing.append(f"{source[-1]:g} to {target[-1]:g}")
    if missing:
        held = f"the spectra cover {source[0]:g} to {source[-1]:g} cm^-1"
        raise AxisError(
            f"{held}; {' and '.join(missing)} cm^-1 is missing and is not extrapolated: "
            f"{target[0]:g}-{target[-1]:g} cm^-1 is needed (a model needs all of its axis; a step `resample` may be "
            "given a shorter one), or leave the spectra out"
        )
    return np.clip(target, source[0], source[-1])


def _linear(values: Values, source: Axis, target: Axis) -> Values:
    right = np.clip(np.searchsorted(source, target, "left"), 1, max(len(source) - 1, 1))
    left = right - 1
    if len(source) == 1:
        return np.repeat(values, len(target), axis=1)
    part = (target - source[left]) / (source[right] - source[left])
    return values[:, left] * (1 - part) + values[:, right] * part


def _cubic(values: Values, source: Axis, target: Axis) -> Values:
    """Interpolate row by row: one solve for all rows would round differently with their number."""
    from scipy.interpolate import CubicSpline

    resampled = np.empty((len(values), len(target)))
    for i, row in enumerate(values):
        resampled[i] = CubicSpline(source, row)(target)
    return resampled
