"""Occlusion of spectra: what a score loses when a window of the axis shows nothing of its own.

Shapes: `n` spectra, `N` samples, `L` points of the axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from polydx.errors import AxisError, ConfigError

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]
"""(n, L) spectra -> (N, ...) scores; the spectra of a sample may be several."""

EDGE = 2
"""Points on each side of a window whose mean fixes the line through it: one alone would hand on its noise."""


def occlude_windows(
    score: Score,
    spectra: NDArray[np.floating],
    axis: Floats,
    *,
    width: float = 20.0,
    reference: Floats | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Floats:
    """Return what each point of the axis adds to a score, by windows that slide by half their width.

    Inside a window, a spectrum is replaced by the reference on the spectrum's own baseline: the difference of the two
    is drawn as a straight line through the window, so that no step arises at its edges. Without a reference it is the
    line alone: no band is there. The loss of score is given to all points of the window, and averaged where windows
    overlap.

    Args:
        score: of (n, L) spectra.
        spectra: (n, L) as they were measured.
        axis: (L,) in cm^-1.
        width: of a window, in cm^-1.
        reference: (L,) spectrum that says what a window without information looks like.
        told: called after each window with its number and their count.

    Returns:
        (N, L, ...) score of the spectra less that of the occluded ones; positive where a window speaks for the class.

    Raises:
        AxisError: the axis does not fit the spectra.
        ConfigError: windows that are no wider than the spacing of the axis, or as wide as the whole of it.

    Reference: Zeiler & Fergus (2014), ECCV, 818-833, for images.
    """
    if spectra.ndim != 2 or axis.shape != spectra.shape[1:]:
        raise AxisError(f"spectra have shape {spectra.shape}, the axis {axis.shape}; expected (n, L) and (L,)")
    values = spectra.astype(np.float64)
    windows = list(_windows(axis, width))
    whole = score(values)  # (N, ...)
    total = np.zeros((len(whole), len(axis), *whole.shape[1:]))
    covered = np.zeros(len(axis))
    for number, (first, end) in enumerate(windows, start=1):
        lost = whole - score(_filled(values, axis, first, end, reference))
        total[:, first:end] += lost[:, None]
        covered[first:end] += 1
        if told is not None:
            told(number, len(windows))
    return np.asarray(total / covered.reshape(-1, *[1] * (whole.ndim - 1)))


def _windows(axis: Floats, width: float) -> Iterator[tuple[int, int]]:
    """Yield the first point of each window and the one after its last; each overlaps the next by half."""
    extent, spacing = axis[-1] - axis[0], float(np.median(np.diff(axis)))
    if not spacing < width < extent:
        what = f"expected more than the spacing of the axis ({spacing:.3g} cm^-1) and less than its extent"
        raise ConfigError(f"a window of {width:g} cm^-1: {what} ({extent:.4g} cm^-1)")
    for start in np.arange(axis[0], axis[-1], width / 2):
        last = bool(start + width >= axis[-1])
        first, end = np.searchsorted(axis, start), len(axis) if last else np.searchsorted(axis, start + width)
        if end > first:
            yield int(first), int(end)
        if last:
            return


def _filled(values: Floats, axis: Floats, first: int, end: int, reference: Floats | None) -> Floats:
    """Return the spectra with one window filled."""
    base = np.zeros(len(axis)) if reference is None else reference
    own = values - base
    left = slice(max(first - EDGE, 0), max(first, EDGE))  # at an end of the axis: the end itself
    right = slice(min(end, len(axis) - EDGE), end + EDGE)
    start, stop = axis[left].mean(), axis[right].mean()
    before, after = own[:, left].mean(axis=1), own[:, right].mean(axis=1)
    part = (axis[first:end] - start) / (stop - start)
    filled = values.copy()
    filled[:, first:end] = base[first:end] + before[:, None] + (after - before)[:, None] * part
    return filled
