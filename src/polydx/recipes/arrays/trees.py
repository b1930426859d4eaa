"""Trees, forests and boosted trees.

Features are float32 where trees compare them, as in their libraries, so that no sample changes sides at a threshold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.arrays.common import Array, Arrays, Config, Float, probabilities_of
from polydx.recipes.protocol import State

PARTS = ("left", "right", "feature", "threshold")


def export_tree(model: Any) -> State:
    """Return one decision tree: a forest of one."""
    return _forest([model.tree_])


def export_forest(model: Any) -> State:
    """Return scikit-learn's random forest."""
    return _forest([e.tree_ for e in model.estimators_])


def _forest(trees: Sequence[Any]) -> State:
    values = [t.value[:, 0, :] for t in trees]
    return {"kind": "forest"}, {
        **_joined(trees),
        "value": np.concatenate([v / v.sum(axis=1, keepdims=True) for v in values]),
    }


def _joined(trees: Sequence[Any]) -> dict[str, Array]:
    """Return the nodes of scikit-learn's trees one after the other, and where each tree starts."""
    return {
        "starts": np.concatenate([[0], np.cumsum([t.node_count for t in trees])]),
        "left": np.concatenate([t.children_left for t in trees]),
        "right": np.concatenate([t.children_right for t in trees]),
        "feature": np.concatenate([t.feature for t in trees]),
        "threshold": np.concatenate([t.threshold for t in trees]),
    }


def forest_probabilities(_: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N, k): the mean over the trees of the class shares in their leaves."""
    starts = arrays["starts"]
    narrow = features.astype(np.float32)
    total = np.zeros((len(features), arrays["value"].shape[1]))
    for tree in range(len(starts) - 1):
        part = {k: arrays[k][starts[tree] : starts[tree + 1]] for k in PARTS}
        total += arrays["value"][starts[tree] + _leaves(part, narrow, strict=False)]
    return total / (len(starts) - 1)


def export_xgboost(model: Any) -> State:
    """Return XGBoost's trees, read from its own JSON."""
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


def xgboost_probabilities(_: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N, k); margins are summed in float32, as XGBoost does."""
    starts, narrow = arrays["starts"], features.astype(np.float32)
    margin = np.tile(arrays["base"], (len(features), 1))
    for tree in range(len(starts) - 1):
        part = {k: arrays[k][starts[tree] : starts[tree + 1]] for k in PARTS}
        margin[:, arrays["group"][tree]] += part["threshold"][_leaves(part, narrow, strict=True)]
    return probabilities_of(margin.astype(np.float64))


def export_boosting(model: Any) -> State:
    """Return scikit-learn's gradient boosting, which starts from the shares of the classes."""
    trees = [e.tree_ for round_ in model.estimators_ for e in round_]
    shares = np.log(np.asarray(model.init_.class_prior_, dtype=np.float64))
    groups = model.estimators_.shape[1]
    return {"kind": "boosting", "groups": groups}, {
        "base": shares[1:] - shares[:1] if groups == 1 else shares,
        **_joined(trees),
        "value": model.learning_rate * np.concatenate([t.value[:, 0, 0] for t in trees]),
    }


def boosting_probabilities(config: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N, k); one tree a group and round, its leaves added to the log-odds."""
    starts, groups, narrow = arrays["starts"], config["groups"], features.astype(np.float32)
    scores = np.tile(arrays["base"], (len(features), 1))
    for tree in range(len(starts) - 1):
        part = {k: arrays[k][starts[tree] : starts[tree + 1]] for k in PARTS}
        scores[:, tree % groups] += arrays["value"][starts[tree] + _leaves(part, narrow, strict=False)]
    return probabilities_of(scores)


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
