"""Decision values to probabilities, fitted on inner patients (Platt 1999, in the numerically safe form of Lin 2007).

Like the other classical models, which weigh classes the same, these probabilities are for classes equally common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.arrays.common import expit
from polydx.study import IntArray


@dataclass(frozen=True)
class Sigmoids:
    """One sigmoid a class, normalised over the classes (one sigmoid and its complement for two).

    Attributes:
        slopes: (K,) or (1,) for two classes.
        intercepts: the same shape.
    """

    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    @classmethod
    def plain(cls, classes: int) -> Sigmoids:
        """Return sigmoids that take decision values as log-odds, for want of patients to fit them on."""
        count = 1 if classes == 2 else classes
        return cls(np.ones(count), np.zeros(count))

    def probabilities(self, decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, K) probabilities of decision values (N,) for two classes, else (N, K)."""
        columns = decisions[:, None] if decisions.ndim == 1 else decisions
        values = expit(columns * self.slopes + self.intercepts)
        if values.shape[1] == 1:
            return np.hstack([1 - values, values])
        total = values.sum(axis=1, keepdims=True)
        uniform = np.full_like(values, 1 / values.shape[1])
        return np.where(total > 0, values / np.where(total > 0, total, 1), uniform)


def fit_sigmoids(decisions: NDArray[np.float64], codes: IntArray, classes: int) -> Sigmoids:
    """Fit on held-out decision values.

    Args:
        decisions: (N,) for two classes, else (N, K), from models that did not see these patients.
        codes: (N,) class codes 0..K-1.
        classes: K.
    """
    columns = decisions[:, None] if decisions.ndim == 1 else decisions
    targets = [1] if classes == 2 else range(classes)
    fitted = [_platt(columns[:, i], codes == k) for i, k in enumerate(targets)]
    return Sigmoids(np.array([a for a, _ in fitted]), np.array([b for _, b in fitted]))


def _platt(decisions: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and intercept of P(positive) = expit(slope * decision + intercept), with Platt's soft targets."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    # Both classes weigh the same. Else the sigmoid learns how common they are among the training patients, which falls
    # just when a patient of a class is left out: leave-one-out would then rank patients backwards (AUROC below 0.5).
    weight = np.where(positive, 0.5 / max(n_positive, 1), 0.5 / max(n_negative, 1)) * len(decisions)
    centre, scale = float(decisions.mean()), float(decisions.std())
    if scale <= 1e-9 * max(abs(centre), 1e-300):
        scale = np.inf  # decisions that are all one: no slope can be known
    x = (decisions - centre) / scale

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = parameters[0] * x + parameters[1]
        value = float(weight @ (np.logaddexp(0, z) - target * z))
        slope = weight * (expit(z) - target)
        return value, np.array([slope @ x, slope.sum()])

    from scipy.optimize import minimize  # long to import; serving needs it not

    start = np.zeros(2)
    found: Any = minimize(loss, start, jac=True, method="BFGS")
    slope = float(found.x[0] / scale)
    return slope, float(found.x[1]) - slope * centre
