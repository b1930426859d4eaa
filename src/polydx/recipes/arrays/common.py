"""Names and sums that the array forms share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]
Float: TypeAlias = NDArray[np.float64]
Config: TypeAlias = Mapping[str, Any]


def softmax(logits: Float) -> Float:
    """Return (N, K) probabilities of (N, K) logits; as `scipy.special.softmax`, whose import alone takes 0.3 s."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def expit(log_odds: Array) -> Float:
    """Return 1 / (1 + exp(-x)) of any shape, exact for far values of either sign; as `scipy.special.expit`."""
    small = np.exp(-np.abs(log_odds))
    return np.asarray(np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small)), dtype=np.float64)


def probabilities_of(scores: Float) -> Float:
    """Return (N, k) probabilities of (N, 1) log-odds of the second of two classes, or of (N, k) logits."""
    if scores.shape[1] == 1:
        positive = expit(scores[:, 0])
        return np.column_stack([1 - positive, positive])
    return softmax(scores)
