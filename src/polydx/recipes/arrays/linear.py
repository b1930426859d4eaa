"""Linear models: logistic regression and discriminant analysis, and decision values without probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from polydx.recipes.arrays.common import Arrays, Config, Float, probabilities_of
from polydx.recipes.protocol import State


def export_linear(model: Any) -> State:
    """Return a model whose scores are log-odds or logits."""
    return {"kind": "linear"}, {"coef": model.coef_.astype(np.float64), "intercept": model.intercept_}


def export_linear_decisions(model: Any) -> State:
    """Return a model whose scores are distances."""
    return {"kind": "linear_decisions"}, {
        "coef": model.coef_.astype(np.float64),
        "intercept": np.atleast_1d(model.intercept_).astype(np.float64),
    }


def linear_probabilities(_: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N, k)."""
    return probabilities_of(_scores(arrays, features))


def linear_decisions(_: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N,) for two classes, else (N, k)."""
    scores = _scores(arrays, features)
    return scores[:, 0] if scores.shape[1] == 1 else scores


def _scores(arrays: Arrays, features: Float) -> Float:
    return np.asarray(features @ arrays["coef"].T + arrays["intercept"])
