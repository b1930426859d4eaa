"""From probabilities to a class: the one rule by which metrics, reports and predictions decide."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNDECIDED = 0.5


def decide(
    probabilities: NDArray[np.float64], positive: int | None, thresholds: ArrayLike = UNDECIDED
) -> NDArray[np.int64]:
    """Return (N,) decided classes.

    Two classes: positive where its probability reaches the threshold (a tie is positive). More: the class of the
    largest probability (a tie goes to the class named first).

    Args:
        probabilities: (N, K), rows sum to 1.
        positive: code of the positive class of two, None for more classes.
        thresholds: scalar or (N,); only for two classes.
    """
    if positive is None:
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    reached = probabilities[:, positive] >= np.asarray(thresholds, dtype=np.float64)
    return np.where(reached, positive, 1 - positive).astype(np.int64)
