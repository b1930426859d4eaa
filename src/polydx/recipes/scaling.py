"""Probabilities after a temperature: what a fitted recipe answers with, with torch and without."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.protocol import Probabilities

LEAST = 1e-12
"""A probability below this counts as this, so that a tree's certain "no" has a logarithm."""

Float = NDArray[np.float64]


def scaled(probabilities: Probabilities, temperatures: Mapping[str, float]) -> Probabilities:
    """Return the probabilities with those of some tasks brought to a temperature.

    Args:
        probabilities: task -> (N, K).
        temperatures: task -> temperature; others stay as they are.
    """
    return {n: at_temperature(p, temperatures[n]) if n in temperatures else p for n, p in probabilities.items()}


def at_temperature(probabilities: Float, temperature: float) -> Float:
    """Return (N, K) probabilities proportional to p ** (1 / temperature), which is softmax(logits / temperature).

    Above 1 they are less sure, below 1 surer; which class is the most probable stays. NaN stays NaN.

    Reference: Guo et al. (2017), On Calibration of Modern Neural Networks, ICML.
    """
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
