"""The fitted model of one task: over the classes its training rows had, with probabilities for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.arrays import ArrayEstimator, export_estimator
from polydx.recipes.calibration import Sigmoids
from polydx.recipes.protocol import State
from polydx.study import IntArray


@dataclass(frozen=True)
class TaskFit:
    """The model of one task.

    Attributes:
        classes: K of the task.
        codes: (k,) the classes the training rows had; k may be less than K.
        estimator: classifier over those, or None where there was only one class (or none).
        sigmoids: turn decision values into probabilities, where the classifier gives none.
    """

    classes: int
    codes: IntArray
    estimator: Any = None
    sigmoids: Sigmoids | None = None

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, K); classes not seen in training get 0; without any label in training all are alike."""
        result = np.zeros((len(features), self.classes))
        if self.estimator is None:
            columns = self.codes if len(self.codes) else np.arange(self.classes)
            result[:, columns] = 1 / len(columns)
        elif self.sigmoids is None:
            result[:, self.codes] = self.estimator.predict_proba(features)
        else:
            result[:, self.codes] = self.sigmoids.probabilities(self.estimator.decision_function(features))
        return np.asarray(result / result.sum(axis=1, keepdims=True))

    def state(self) -> State:
        """Return the model as data."""
        config: dict[str, Any] = {"classes": self.classes, "model": None}
        arrays: dict[str, NDArray[Any]] = {"codes": self.codes}
        if self.estimator is not None:
            config["model"], model = export_estimator(self.estimator)
            arrays |= {f"model/{k}": np.asarray(v) for k, v in model.items()}
        if self.sigmoids is not None:
            arrays |= {"sigmoids/slopes": self.sigmoids.slopes, "sigmoids/intercepts": self.sigmoids.intercepts}
        return config, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TaskFit:
        """Rebuild what `state` returned."""
        estimator = None if config["model"] is None else ArrayEstimator(config["model"], under(arrays, "model/"))
        sigmoids = None
        if "sigmoids/slopes" in arrays:
            sigmoids = Sigmoids(arrays["sigmoids/slopes"], arrays["sigmoids/intercepts"])
        return cls(config["classes"], arrays["codes"], estimator, sigmoids)


def under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
