"""Nearest neighbours: the votes of the training rows nearest to a row."""

from __future__ import annotations

import numpy as np

from polydx.recipes.arrays.common import Arrays, Config, Float

ROWS_AT_ONCE = 2048


def neighbour_probabilities(config: Config, arrays: Arrays, features: Float) -> Float:
    """Return (N, k): the share of the neighbours' votes each class has.

    Of training rows at the same distance the one that stands first is nearer.
    """
    parts = [
        _votes(config, arrays, features[start : start + ROWS_AT_ONCE])
        for start in range(0, max(1, len(features)), ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def _votes(config: Config, arrays: Arrays, features: Float) -> Float:
    from scipy.spatial.distance import cdist

    distances = cdist(features, arrays["rows"], metric=config["metric"])
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : config["neighbours"]]
    near = np.take_along_axis(distances, nearest, axis=1)
    weights = _by_distance(near) if config["weights"] == "distance" else np.ones_like(near)
    voters = arrays["codes"][nearest]
    votes = np.stack([np.where(voters == k, weights, 0).sum(axis=1) for k in range(config["classes"])], axis=1)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))


def _by_distance(near: Float) -> Float:
    """Weigh by 1 / distance; rows that are the very same decide alone."""
    same = near == 0
    inverse = 1 / np.where(same, 1, near)
    return np.where(same.any(axis=1, keepdims=True), same.astype(np.float64), inverse)
