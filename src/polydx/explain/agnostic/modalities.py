"""The share of each modality in an answer, by taking modalities away.

Shapes: `N` samples, `M` modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError
from polydx.explain.agnostic.shapley import exact_shapley

Floats = NDArray[np.float64]
PresenceScore = Callable[[Sequence[str]], Floats]
"""Modalities that are left -> (N,) scores; NaN where a sample has none of them."""

MOST = 5


def modality_shares(score: PresenceScore, modalities: Sequence[str], base: float) -> Floats:
    """Return (N, M) what each modality adds to a sample's score: Shapley values over which modalities are there.

    The values of a sample add up to its score less the base. A modality that a sample lacks gets 0.

    Args:
        score: with some modalities left, never called with none.
        modalities: M names, at most five.
        base: the score without any measurement.

    Raises:
        ConfigError: fewer than two modalities, or more than five.
    """
    if not 2 <= len(modalities) <= MOST:
        raise ConfigError(f"shares of modalities need 2 to {MOST} of them, but got {len(modalities)}")

    def value(coalitions: NDArray[np.bool_]) -> Floats:
        worth = [
            score([m for m, there in zip(modalities, row, strict=True) if there]) if row.any() else None
            for row in coalitions
        ]
        count = len(next(found for found in worth if found is not None))
        filled = [np.full(count, base) if found is None else np.where(np.isnan(found), base, found) for found in worth]
        return np.array(filled)  # (Q, N)

    return exact_shapley(value, len(modalities)).T
