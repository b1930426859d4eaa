"""Steps that mend what no sample can have emitted: negative intensities and cosmic rays."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.preprocessing.spectra.base import SpectralStep, Values

FLANK = 0.5
"""A spike rises from, and falls to, points whose own differences stay below this part of its rise and fall."""
BALANCE = 0.2
"""The smaller of a spike's rise and fall is at least this part of the other."""


class ClipNegative(SpectralStep):
    """Set negative intensities to zero."""

    def _transform(self, values: Values) -> Values:
        return np.maximum(values, 0.0)


class Despike(SpectralStep):
    """Replace cosmic rays by the mean of their neighbours.

    A cosmic ray is a sudden rise and an equally sudden fall within `width` points: differences of neighbouring points
    whose modified z-score (median and median absolute deviation of the differenced spectrum) passes `threshold`. The
    paper asks for the score alone, which a strong band in a quiet spectrum passes as well; here rise and fall must also
    match, and the differences just outside be less than half as steep, which the smooth flanks of a band never are.

    Args:
        threshold: modified z-score from which a difference is sudden.
        width: most points a cosmic ray covers.
        window: points on either side whose mean replaces it, spikes left out.

    Reference: Whitaker & Hayes (2018), Chemometrics and Intelligent Laboratory Systems 179, 82-84.
    """

    def __init__(
        self,
        threshold: Annotated[float, Field(gt=0)] = 7.0,
        width: Annotated[int, Field(ge=1)] = 3,
        window: Annotated[int, Field(ge=1)] = 3,
    ) -> None:
        self.threshold = threshold
        self.width = width
        self.window = window

    def _transform(self, values: Values) -> Values:
        spikes = find_spikes(values, self.threshold, self.width)
        mended = values.copy()
        for row, point in np.argwhere(spikes):
            mended[row, point] = _neighbours_mean(values[row], spikes[row], point, self.window)
        return mended


def modified_z_scores(values: Values) -> Values:
    """Return the modified z-score of each element within its row: 0.6745 (x - median) / MAD.

    Where more than half of a row is equal the MAD is zero, and 0.7979 (x - median) / mean absolute deviation stands in.

    Args:
        values: (N, L).

    Returns:
        (N, L); zero for a constant row.

    Reference: Iglewicz & Hoaglin (1993), How to Detect and Handle Outliers.
    """
    deviation = values - np.median(values, axis=1, keepdims=True)
    size = np.abs(deviation)
    spread = np.median(size, axis=1, keepdims=True) / 0.6745
    spread = np.where(spread > 0, spread, size.mean(axis=1, keepdims=True) * 1.2533)
    return np.divide(deviation, spread, out=np.zeros_like(deviation), where=spread > 0)


def find_spikes(values: Values, threshold: float, width: int) -> NDArray[np.bool_]:
    """Return (N, L) True at the points of cosmic rays; see `Despike`."""
    spikes = np.zeros(values.shape, dtype=bool)
    if values.shape[1] < 3:
        return spikes
    steps = modified_z_scores(np.diff(values, axis=1))
    outside = np.pad(np.abs(steps), ((0, 0), (1, 1)))
    rises = (steps > threshold) & (outside[:, :-2] < FLANK * np.abs(steps))
    falls = (steps < -threshold) & (outside[:, 2:] < FLANK * np.abs(steps))
    for points in range(1, min(width, steps.shape[1] - 1) + 1):
        rise, fall = steps[:, :-points], -steps[:, points:]
        pairs = rises[:, :-points] & falls[:, points:] & (rise > BALANCE * fall) & (fall > BALANCE * rise)
        for k in range(1, points + 1):
            spikes[:, k : k + pairs.shape[1]] |= pairs
    spikes[:, 0] |= falls[:, 0]
    spikes[:, -1] |= rises[:, -1]
    return spikes


def _neighbours_mean(row: Values, spikes: NDArray[np.bool_], point: int, window: int) -> float:
    """Return the mean of the sound points within the window, widened until there are some."""
    for reach in range(window, len(row) + window):
        near = slice(max(point - reach, 0), point + reach + 1)
        sound = row[near][~spikes[near]]
        if len(sound):
            return float(sound.mean())
    return float(row[point])
