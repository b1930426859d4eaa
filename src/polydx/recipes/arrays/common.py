"""Names and sums that the array forms share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]
Float: TypeAlias = NDArray[np.float64]
Config: TypeAlias = Mapping[str, Any]


def probabilities_of(scores: Float) -> Float:
    """Return (N, k) probabilities of (N, 1) log-odds of the second of two classes, or of (N, k) logits."""
    if scores.shape[1] == 1:
        positive = expit(scores[:, 0])
        return np.column_stack([1 - positive, positive])
    return np.asarray(softmax(scores, axis=1))
