"""Nearest neighbours. The fitted model is the training rows themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.errors import ConfigError, counted
from polydx.recipes.arrays import ArrayEstimator
from polydx.study import IntArray


@dataclass(frozen=True)
class NearestNeighbours:
    """Probabilities are the shares of the votes of the nearest training rows.

    Attributes:
        neighbours: how many vote.
        weights: all votes alike, or by 1 / distance.
        metric: the distance.
    """

    neighbours: Annotated[int, Field(ge=1)] = 5
    weights: Literal["uniform", "distance"] = "uniform"
    metric: Literal["euclidean", "cityblock", "chebyshev"] = "euclidean"

    def fit(self, features: NDArray[np.float64], codes: IntArray) -> ArrayEstimator:
        """Keep (N, D) features and (N,) codes 0..k-1.

        Raises:
            ConfigError: fewer rows than neighbours.
        """
        if self.neighbours > len(features):
            raise ConfigError(
                f"knn: {counted(self.neighbours, 'neighbour')} of {counted(len(features), 'training row')}: "
                f"set `neighbours: {len(features)}` or less"
            )
        config = {
            "kind": "neighbours", "classes": int(codes.max()) + 1, "neighbours": self.neighbours,
            "weights": self.weights, "metric": self.metric, "holds_training_data": True,
        }  # fmt: skip
        return ArrayEstimator(config, {"rows": features.astype(np.float64), "codes": codes})
