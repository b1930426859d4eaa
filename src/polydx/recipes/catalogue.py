"""Classical models by name, with defaults for few patients and many wavenumbers.

Every model weighs the classes alike, by `class_weight`, sample weights or prior probabilities, except nearest
neighbours, and discriminant analysis by partial least squares, whose decision values are calibrated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from polydx.recipes.discriminant import PLSDA
from polydx.recipes.neighbours import NearestNeighbours
from polydx.recipes.perceptron import Perceptron


@dataclass(frozen=True)
class EstimatorSpec:
    """How a named model is made.

    Attributes:
        build: returns the unfitted estimator for these keyword arguments.
        defaults: ours, where they differ from the library's.
        hidden: parameters that are not the user's: they look at rows whatever their patient, need what is known in a
            fold alone, or change what the array form stands on.
        seeded: takes `random_state`.
        calibrated: gives no probabilities of its own; its decision values are calibrated on inner patients.
        weighted: has no `class_weight`; balanced sample weights are passed to `fit` instead.
        uniform_priors: has no `class_weight`; all classes get the same prior probability instead.
        grouped: `fit` takes the patients too.
        own: one of ours, whose parameters are those of its constructor.
        tried: its parameters constrain one another, which shows in a fit alone: it is tried on a few points.
    """

    build: Callable[..., Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    seeded: bool = True
    calibrated: bool = False
    weighted: bool = False
    uniform_priors: bool = False
    grouped: bool = False
    own: bool = False
    tried: bool = False


def _lazily(module: str, name: str) -> Callable[..., Any]:
    """Return a builder that imports its library when it is first called."""

    def build(**params: Any) -> Any:
        return getattr(import_module(module), name)(**params)

    return build


ESTIMATORS: dict[str, EstimatorSpec] = {
    "logistic_regression": EstimatorSpec(
        _lazily("sklearn.linear_model", "LogisticRegression"),
        {"max_iter": 500, "class_weight": "balanced"},
        tried=True,
    ),
    "lda": EstimatorSpec(
        _lazily("sklearn.discriminant_analysis", "LinearDiscriminantAnalysis"),
        {"solver": "lsqr", "shrinkage": "auto"},
        frozenset({"priors", "covariance_estimator", "store_covariance", "n_components"}),
        seeded=False,
        uniform_priors=True,
        tried=True,
    ),
    "pls_da": EstimatorSpec(PLSDA, seeded=False, calibrated=True, own=True),
    "svm": EstimatorSpec(
        _lazily("sklearn.svm", "SVC"),
        {"class_weight": "balanced"},
        frozenset({"decision_function_shape", "break_ties", "probability"}),
        calibrated=True,
    ),
    "linear_svm": EstimatorSpec(
        _lazily("sklearn.svm", "LinearSVC"),
        {"class_weight": "balanced", "max_iter": 5000},
        frozenset({"multi_class"}),
        calibrated=True,
        tried=True,
    ),
    "knn": EstimatorSpec(NearestNeighbours, seeded=False, own=True),
    "decision_tree": EstimatorSpec(_lazily("sklearn.tree", "DecisionTreeClassifier"), {"class_weight": "balanced"}),
    "random_forest": EstimatorSpec(
        _lazily("sklearn.ensemble", "RandomForestClassifier"),
        {"n_estimators": 300, "class_weight": "balanced_subsample", "n_jobs": 1},
    ),
    # Not the histogram form: weighted rows make its binning a hundred times slower (scikit-learn 1.9). Stopping early
    # is not offered: it would hold out rows of patients it learns from.
    "gradient_boosting": EstimatorSpec(
        _lazily("sklearn.ensemble", "GradientBoostingClassifier"),
        {"max_features": "sqrt", "subsample": 0.8},
        frozenset({"init", "loss", "n_iter_no_change", "validation_fraction", "tol", "warm_start"}),
        weighted=True,
    ),
    "xgboost": EstimatorSpec(
        _lazily("xgboost", "XGBClassifier"),
        {
            "n_estimators": 200,
            "max_depth": 4,
            "learning_rate": 0.1,
            "subsample": 0.8,
            "colsample_bytree": 0.3,
            "tree_method": "hist",
            "n_jobs": 1,
        },
        frozenset({"booster", "objective", "multi_strategy", "callbacks", "early_stopping_rounds"}),
        weighted=True,
        tried=True,
    ),
    "mlp": EstimatorSpec(Perceptron, grouped=True, own=True),
}
