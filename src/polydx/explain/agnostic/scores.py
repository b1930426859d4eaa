"""The quantity that is explained: the log-odds of a class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CERTAIN = 1e-6
"""Probabilities nearer than this to 0 or 1 count as this near: a vote of all trees is no infinite certainty."""


def log_odds(probabilities: ArrayLike) -> Floats:
    """Return log(p / (1 - p)) of probabilities of any shape.

    Evidence adds up on this scale, and a probability near 0 or 1 still moves: the shares of an explanation are
    differences of log-odds.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(p) - np.log1p(-p))
