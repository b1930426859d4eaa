"""Fitted classical models as arrays, with a numpy runtime: saved without pickle, run without scikit-learn or torch.

Each kind has a function over its arrays that gives probabilities, or decision values where the model has no
probabilities of its own; models of scikit-learn and XGBoost have an exporter (estimator -> description + arrays).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from polydx.errors import BundleError
from polydx.recipes.arrays.common import Array, Arrays, Config, Float
from polydx.recipes.arrays.kernels import export_svm, svm_decisions
from polydx.recipes.arrays.layers import perceptron_probabilities
from polydx.recipes.arrays.linear import (
    export_linear,
    export_linear_decisions,
    linear_decisions,
    linear_probabilities,
)
from polydx.recipes.arrays.neighbours import neighbour_probabilities
from polydx.recipes.arrays.trees import (
    boosting_probabilities,
    export_boosting,
    export_forest,
    export_tree,
    export_xgboost,
    forest_probabilities,
    xgboost_probabilities,
)
from polydx.recipes.protocol import State

Run: TypeAlias = Callable[[Config, Arrays, Float], Float]

PROBABILITIES: dict[str, Run] = {
    "linear": linear_probabilities,
    "forest": forest_probabilities,
    "xgboost": xgboost_probabilities,
    "boosting": boosting_probabilities,
    "neighbours": neighbour_probabilities,
    "perceptron": perceptron_probabilities,
}
DECISIONS: dict[str, Run] = {
    "linear_decisions": linear_decisions,
    "svm": svm_decisions,
}
EXPORTERS: dict[str, Callable[[Any], State]] = {
    "LogisticRegression": export_linear,
    "LinearDiscriminantAnalysis": export_linear,
    "LinearSVC": export_linear_decisions,
    "DecisionTreeClassifier": export_tree,
    "RandomForestClassifier": export_forest,
    "XGBClassifier": export_xgboost,
    "GradientBoostingClassifier": export_boosting,
    "SVC": export_svm,
}


@dataclass(frozen=True)
class ArrayEstimator:
    """A fitted model as data; it has one of the two methods that scikit-learn's classifiers have.

    Attributes:
        config: `{"kind": ..., ...}`; with `holds_training_data`, the arrays hold rows of the patients it learned from.
        arrays: the model's numbers.

    Raises:
        BundleError: this polydx does not know the kind.
    """

    config: dict[str, Any]
    arrays: dict[str, Array]

    def __post_init__(self) -> None:
        kinds = {**PROBABILITIES, **DECISIONS}
        if self.config["kind"] not in kinds:
            raise BundleError(
                f"unknown kind of classifier '{self.config['kind']}'; this polydx knows {', '.join(kinds)}"
            )

    def predict_proba(self, features: Float) -> Float:
        """Return (N, k) probabilities over the classes seen in training."""
        return PROBABILITIES[self.config["kind"]](self.config, self.arrays, features)

    def decision_function(self, features: Float) -> Float:
        """Return (N,) decision values for two classes, else (N, k)."""
        return DECISIONS[self.config["kind"]](self.config, self.arrays, features)


def export_estimator(estimator: Any) -> State:
    """Return a fitted classifier as data.

    Raises:
        BundleError: this kind of model has no array form.
    """
    if isinstance(estimator, ArrayEstimator):
        return estimator.config, estimator.arrays
    kind = type(estimator).__name__
    if kind not in EXPORTERS:
        raise BundleError(f"a {kind} cannot be saved as arrays; models that can: {', '.join(EXPORTERS)}")
    return EXPORTERS[kind](estimator)


__all__ = ["ArrayEstimator", "export_estimator"]
