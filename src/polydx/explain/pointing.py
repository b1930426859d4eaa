"""The pointing game: whether a map points where the truth is known to lie.

Reference: Zhang et al. (2018), International Journal of Computer Vision 126, 1084-1102.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polydx.explain.assignments import strongest

Floats = NDArray[np.float64]
TOLERANCE = 15.0
"""In cm^-1: half the width of a broad band, and the reach of a derivative's filter."""


@dataclass(frozen=True)
class Pointing:
    """How often maps point at bands that carry a class.

    Attributes:
        score: share of the maps whose strongest point lies near such a band.
        top: share of the strongest peaks of the mean map that do.
        chance: share of the axis that does: what a map drawn by chance would score.
        maps: how many there were.
    """

    score: float
    top: float
    chance: float
    maps: int


def pointing_game(
    maps: Floats, axis: Floats, bands: Sequence[float], *, tolerance: float = TOLERANCE, peaks: int = 5
) -> Pointing:
    """Return the score of maps of which it is known where they should point.

    Args:
        maps: (P, L), one a patient; NaN where the model does not look.
        axis: (L,) in cm^-1.
        bands: in cm^-1, that carry the class.
        tolerance: in cm^-1, within which a point counts as lying at a band.
        peaks: of the mean map, that are looked at.
    """
    near = np.abs(axis[:, None] - np.asarray(bands)).min(axis=1) <= tolerance
    seen = np.isfinite(maps).all(axis=0)
    heights = np.where(np.isfinite(maps), np.abs(maps), -1.0)
    top = strongest(maps.mean(axis=0), axis, peaks)
    return Pointing(
        float(near[heights.argmax(axis=1)].mean()), float(near[top].mean()) if top else 0.0,
        float(near[seen].mean()), len(maps),
    )  # fmt: skip
