"""AUROC and its covariance across readers of the same patients, without resampling.

References: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837-845; the midrank form is that of Sun & Xu
(2014), IEEE Signal Processing Letters 21, 1389-1393.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class DeLong(NamedTuple):
    """`aurocs` (M,) of M sets of scores on the same patients, and their `covariance` (M, M)."""

    aurocs: Floats
    covariance: Floats

    def contrast(self, weights: Floats) -> tuple[float, float]:
        """Return the weighted sum of the AUROCs and its standard error."""
        variance = float(weights @ self.covariance @ weights)
        # the variance of two equal score sets is 0; rounding must not make it 1e-18
        return float(weights @ self.aurocs), 0.0 if variance <= 1e-14 else float(np.sqrt(variance))


def delong(scores: Floats, positives: NDArray[np.bool_]) -> DeLong:
    """Return the AUROC of each row of scores and their covariance.

    Args:
        scores: (M, N), one row a reader (recipe, seed); higher means more likely positive; ties count half.
        positives: (N,) true class; both classes must be there. With one patient in a class its share of the
            covariance is not estimable and comes out NaN.
    """
    from scipy.stats import rankdata

    own, other = scores[:, positives], scores[:, ~positives]
    m, n = own.shape[1], other.shape[1]
    ranks = rankdata(np.concatenate([own, other], axis=1), axis=1)
    # placements: the share of the other side that each patient beats
    of_positives = (ranks[:, :m] - rankdata(own, axis=1)) / n  # (M, m)
    of_negatives = 1 - (ranks[:, m:] - rankdata(other, axis=1)) / m  # (M, n)
    covariance = _covariance(of_positives) / m + _covariance(of_negatives) / n
    return DeLong(of_positives.mean(axis=1), covariance)


def _covariance(rows: Floats) -> Floats:
    if rows.shape[1] < 2:
        return np.full((len(rows), len(rows)), np.nan)
    return np.atleast_2d(np.cov(rows))
