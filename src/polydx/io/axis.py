"""The wavenumber axis: found wrong by name, turned to rise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

MIN_POINTS = 8
MOST_NAMED = 5

Floats = NDArray[np.float64]


def oriented(values: Floats, axis: Floats) -> tuple[Floats, Floats]:
    """Return (n, L) values and (L,) axis with the axis rising; a falling one is turned round with its values."""
    if len(axis) > 1 and axis[0] > axis[-1]:
        values, axis = values[:, ::-1], axis[::-1]
    return np.ascontiguousarray(values), np.ascontiguousarray(axis)


def axis_problems(axis: Floats, place: Callable[[int], str]) -> list[str]:
    """Return what keeps an array from being an axis: too short, not finite, repeated points, turns.

    Args:
        axis: (L,) cm^-1, rising or falling.
        place: says where a point stood in the file, such as 'line 412'.
    """
    bad = np.flatnonzero(~np.isfinite(axis))
    found = _named(bad, lambda i: f"{place(i)}: axis point is {axis[i]}; expected a wavenumber")
    if len(axis) < MIN_POINTS:
        found.append(f"has {len(axis)} axis points; a spectrum needs at least {MIN_POINTS}")
    if len(bad) == 0:
        found += _repeats(axis, place) + _turns(axis, place)
    return found


def intensity_problems(values: Floats, place: Callable[[int, int], str]) -> list[str]:
    """Return the intensities that are NaN or infinite.

    Args:
        values: (n, L).
        place: says where spectrum i, point j stood.
    """
    rows, points = np.nonzero(~np.isfinite(values))
    numbers = np.arange(len(rows))
    return _named(numbers, lambda k: f"{place(rows[k], points[k])}: intensity is {values[rows[k], points[k]]}")


def _repeats(axis: Floats, place: Callable[[int], str]) -> list[str]:
    order = np.argsort(axis, kind="stable")
    ranked = axis[order]
    again = np.flatnonzero(ranked[1:] == ranked[:-1]) + 1
    pairs = {int(order[k]): int(order[k - 1]) for k in again}
    return _named(
        np.array(sorted(pairs), dtype=int),
        lambda i: (
            f"{place(i)}: axis point {axis[i]:g} cm^-1 repeats {place(pairs[i])}; export more digits, or drop one"
        ),
    )


def _turns(axis: Floats, place: Callable[[int], str]) -> list[str]:
    steps = np.sign(np.diff(axis))
    if not steps.any():
        return []
    main = 1 if np.sum(steps) >= 0 else -1
    verb = ("falls", "rises") if main > 0 else ("rises", "falls")
    return _named(
        np.flatnonzero(steps == -main) + 1,
        lambda i: (
            f"{place(i)}: axis {verb[0]} from {axis[i - 1]:g} to {axis[i]:g} cm^-1 where it {verb[1]} elsewhere; "
            "an axis has one direction (several spectra one below another belong in files of their own)"
        ),
    )


def _named(positions: NDArray[np.int64], say: Callable[[int], str]) -> list[str]:
    found = [say(int(i)) for i in positions[:MOST_NAMED]]
    if len(positions) > MOST_NAMED:
        found.append(f"... and {len(positions) - MOST_NAMED} more of the last kind")
    return found
