"""Linear layers with a rectifier between them: a perceptron without torch."""

from __future__ import annotations

import numpy as np

from polydx.recipes.arrays.common import Arrays, Config, Float, probabilities_of


def perceptron_probabilities(config: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N, k); computed in float32, as the weights were fitted."""
    values = ((features - config["mean"]) / config["sd"]).astype(np.float32)
    for number in range(config["layers"]):
        if number:
            values = np.maximum(values, 0)
        values = values @ arrays[f"weight{number}"].T + arrays[f"bias{number}"]
    return probabilities_of(values.astype(np.float64))
