"""Support vector machines. Their support vectors are training rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from polydx.recipes.arrays.common import Arrays, Config, Float
from polydx.recipes.protocol import State


def export_svm(model: Any) -> State:
    """Return scikit-learn's SVC."""
    config = {
        "kind": "svm", "kernel": model.kernel, "gamma": float(model._gamma), "degree": int(model.degree),
        "coef0": float(model.coef0), "holds_training_data": True,
    }  # fmt: skip
    return config, {
        "support": model.support_vectors_.astype(np.float64),
        "dual": model.dual_coef_.astype(np.float64),
        "intercept": model.intercept_.astype(np.float64),
        "counts": model.n_support_.astype(np.int64),
    }


def svm_decisions(config: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N,) for two classes, else (N, k) from the machines of all pairs."""
    kernel = _kernel(config, features, arrays["support"])
    counts, dual = arrays["counts"], arrays["dual"]
    classes, starts = len(counts), np.concatenate([[0], np.cumsum(counts)])
    if classes == 2:
        return np.asarray(kernel @ dual[0] + arrays["intercept"][0])
    pairs: list[Float] = []
    for i in range(classes):
        for j in range(i + 1, classes):
            own, other = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
            score = kernel[:, own] @ dual[j - 1, own] + kernel[:, other] @ dual[i, other]
            pairs.append(score + arrays["intercept"][len(pairs)])
    return _one_versus_rest(np.column_stack(pairs), classes)


def _one_versus_rest(pairs: Float, classes: int) -> Float:
    """Votes of the pairwise decisions, ties broken by their confidence, as scikit-learn's SVC does."""
    votes = np.zeros((len(pairs), classes))
    confidence = np.zeros((len(pairs), classes))
    column = 0
    for i in range(classes):
        for j in range(i + 1, classes):
            confidence[:, i] += pairs[:, column]
            confidence[:, j] -= pairs[:, column]
            votes[:, i] += pairs[:, column] >= 0
            votes[:, j] += pairs[:, column] < 0
            column += 1
    return np.asarray(votes + confidence / (3 * (np.abs(confidence) + 1)))


def _kernel(config: Config, features: Float, support: Float) -> Float:
    products = features @ support.T
    if config["kernel"] == "linear":
        return np.asarray(products)
    if config["kernel"] == "rbf":
        squared = (features**2).sum(axis=1)[:, None] + (support**2).sum(axis=1)[None] - 2 * products
        return np.asarray(np.exp(-config["gamma"] * np.maximum(squared, 0)))
    affine = config["gamma"] * products + config["coef0"]
    return np.asarray(affine ** config["degree"] if config["kernel"] == "poly" else np.tanh(affine))
