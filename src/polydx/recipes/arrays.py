"""Fitted classical models as arrays, with a numpy runtime: saved without pickle, run without scikit-learn.

Each kind has an exporter (estimator -> description + arrays) and a predictor over those arrays in float64. Trees
compare in float32 where their library does, so that no sample changes sides at a threshold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from polydx.errors import BundleError
from polydx.recipes.protocol import State

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]
Float: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class ArrayEstimator:
    """A fitted model rebuilt from data; the two methods scikit-learn's classifiers have.

    Attributes:
        config: `{"kind": ..., ...}`.
        arrays: the model's numbers.
    """

    config: dict[str, Any]
    arrays: dict[str, Array]

    def predict_proba(self, features: Float) -> Float:
        """Return (N, k) probabilities over the classes seen in training."""
        return _PREDICT[self.config["kind"]](self.config, self.arrays, features)

    def decision_function(self, features: Float) -> Float:
        """Return (N,) decision values for two classes, else (N, k)."""
        return _svm_decisions(self.config, self.arrays, features)


def export_estimator(estimator: Any) -> State:
    """Return a fitted scikit-learn or XGBoost classifier as data.

    Raises:
        BundleError: this kind of model has no array form.
    """
    if isinstance(estimator, ArrayEstimator):
        return estimator.config, estimator.arrays
    kind = type(estimator).__name__
    if kind not in _EXPORT:
        raise BundleError(f"a {kind} cannot be saved as arrays; models that can: {', '.join(_EXPORT)}")
    return _EXPORT[kind](estimator)


def _export_linear(model: Any) -> State:
    return {"kind": "linear"}, {"coef": model.coef_.astype(np.float64), "intercept": model.intercept_}


def _predict_linear(config: dict[str, Any], arrays: Arrays, features: Float) -> Float:
    scores = features @ arrays["coef"].T + arrays["intercept"]
    if scores.shape[1] == 1:
        positive = expit(scores[:, 0])
        return np.column_stack([1 - positive, positive])
    return np.asarray(softmax(scores, axis=1))


def _export_forest(model: Any) -> State:
    trees = [e.tree_ for e in model.estimators_]
    return {"kind": "forest"}, {
        "starts": np.concatenate([[0], np.cumsum([t.node_count for t in trees])]),
        "left": np.concatenate([t.children_left for t in trees]),
        "right": np.concatenate([t.children_right for t in trees]),
        "feature": np.concatenate([t.feature for t in trees]),
        "threshold": np.concatenate([t.threshold for t in trees]),
        "value": np.concatenate([t.value[:, 0, :] / t.value[:, 0, :].sum(axis=1, keepdims=True) for t in trees]),
    }


def _predict_forest(config: dict[str, Any], arrays: Arrays, features: Float) -> Float:
    starts = arrays["starts"]
    narrow = features.astype(np.float32)
    total = np.zeros((len(features), arrays["value"].shape[1]))
    for tree in range(len(starts) - 1):
        part = {k: arrays[k][starts[tree] : starts[tree + 1]] for k in ("left", "right", "feature", "threshold")}
        total += arrays["value"][starts[tree] + _leaves(part, narrow, strict=False)]
    return total / (len(starts) - 1)


def _leaves(tree: Arrays, features: Array, *, strict: bool) -> NDArray[np.int64]:
    """Return (N,) the leaf each row ends in; `strict` sends a row left if below, else if not above."""
    nodes = np.zeros(len(features), dtype=np.int64)
    rows = np.arange(len(features))
    while True:
        inner = tree["left"][nodes] >= 0
        if not inner.any():
            return nodes
        at = nodes[inner]
        value, cut = features[rows[inner], tree["feature"][at]], tree["threshold"][at]
        left = value < cut if strict else value <= cut
        nodes[inner] = np.where(left, tree["left"][at], tree["right"][at])


def _export_xgboost(model: Any) -> State:
    booster = json.loads(model.get_booster().save_raw("json").decode())["learner"]
    trees = booster["gradient_booster"]["model"]["trees"]
    base = np.atleast_1d(np.array(json.loads(booster["learner_model_param"]["base_score"]), dtype=np.float64))
    groups = max(1, int(booster["learner_model_param"]["num_class"]))
    margin = np.log(base / (1 - base)) if groups == 1 else base
    config = {"kind": "xgboost", "groups": groups}
    return config, {
        "base": np.broadcast_to(margin, (groups,)).astype(np.float32),
        "group": np.array(booster["gradient_booster"]["model"]["tree_info"], dtype=np.int64),
        "starts": np.concatenate([[0], np.cumsum([len(t["left_children"]) for t in trees])]),
        "left": np.concatenate([t["left_children"] for t in trees]).astype(np.int64),
        "right": np.concatenate([t["right_children"] for t in trees]).astype(np.int64),
        "feature": np.concatenate([t["split_indices"] for t in trees]).astype(np.int64),
        "threshold": np.concatenate([t["split_conditions"] for t in trees]).astype(np.float32),
    }


def _predict_xgboost(config: dict[str, Any], arrays: Arrays, features: Float) -> Float:
    starts, narrow = arrays["starts"], features.astype(np.float32)
    margin = np.tile(arrays["base"], (len(features), 1))
    for tree in range(len(starts) - 1):
        part = {k: arrays[k][starts[tree] : starts[tree + 1]] for k in ("left", "right", "feature", "threshold")}
        margin[:, arrays["group"][tree]] += part["threshold"][_leaves(part, narrow, strict=True)]
    scores = margin.astype(np.float64)
    if config["groups"] == 1:
        positive = expit(scores[:, 0])
        return np.column_stack([1 - positive, positive])
    return np.asarray(softmax(scores, axis=1))


def _export_svm(model: Any) -> State:
    config = {
        "kind": "svm", "kernel": model.kernel, "gamma": float(model._gamma), "degree": int(model.degree),
        "coef0": float(model.coef0),
    }
    return config, {
        "support": model.support_vectors_.astype(np.float64),
        "dual": model.dual_coef_.astype(np.float64),
        "intercept": model.intercept_.astype(np.float64),
        "counts": model.n_support_.astype(np.int64),
    }


def _svm_decisions(config: dict[str, Any], arrays: Arrays, features: Float) -> Float:
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


def _kernel(config: Mapping[str, Any], features: Float, support: Float) -> Float:
    products = features @ support.T
    if config["kernel"] == "linear":
        return np.asarray(products)
    if config["kernel"] == "rbf":
        squared = (features**2).sum(axis=1)[:, None] + (support**2).sum(axis=1)[None] - 2 * products
        return np.asarray(np.exp(-config["gamma"] * np.maximum(squared, 0)))
    affine = config["gamma"] * products + config["coef0"]
    return np.asarray(affine ** config["degree"] if config["kernel"] == "poly" else np.tanh(affine))


_EXPORT: dict[str, Callable[[Any], State]] = {
    "LogisticRegression": _export_linear,
    "RandomForestClassifier": _export_forest,
    "XGBClassifier": _export_xgboost,
    "SVC": _export_svm,
}
_PREDICT: dict[str, Callable[[dict[str, Any], Arrays, Float], Float]] = {
    "linear": _predict_linear,
    "forest": _predict_forest,
    "xgboost": _predict_xgboost,
}
