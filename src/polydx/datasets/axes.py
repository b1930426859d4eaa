"""When two wavenumber axes are one: files that print the same axis with fewer digits do not need resampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDING = 0.02
"""Largest difference, as a share of the spacing between points, that counts as rounding."""


def same_axis(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether two axes (L,) differ by no more than 2 % of their spacing anywhere."""
    if one.shape != other.shape:
        return False
    return bool(np.abs(one - other).max() <= ROUNDING * np.diff(one).min())


def usual_axis(axes: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the axis that most of them are, to the byte; of several as frequent, the first."""
    counts = Counter(axis.tobytes() for axis in axes)
    most = max(counts.values())
    return next(axis for axis in axes if counts[axis.tobytes()] == most)
