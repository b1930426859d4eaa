"""Classical models by name, with defaults for few patients and many wavenumbers.

Every model weighs the classes alike, by `class_weight`, sample weights or prior probabilities, except nearest
neighbours, and discriminant analysis by partial least squares, whose decision values are calibrated.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, Problem, counted
from polydx.params import check_params, closest
from polydx.recipes.discriminant import PLSDA
from polydx.recipes.neighbours import NearestNeighbours
from polydx.recipes.perceptron import Perceptron
from polydx.study import IntArray


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


def _logistic_regression(**params: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**params)


def _lda(**params: Any) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(**params)


def _svm(**params: Any) -> Any:
    from sklearn.svm import SVC

    return SVC(**params)


def _linear_svm(**params: Any) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(**params)


def _decision_tree(**params: Any) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(**params)


def _random_forest(**params: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**params)


def _gradient_boosting(**params: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**params)


def _xgboost(**params: Any) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(**params)


ESTIMATORS: dict[str, EstimatorSpec] = {
    "logistic_regression": EstimatorSpec(_logistic_regression, {"max_iter": 500, "class_weight": "balanced"}, tried=True),
    "lda": EstimatorSpec(
        _lda, {"solver": "lsqr", "shrinkage": "auto"}, frozenset({"priors", "covariance_estimator", "store_covariance", "n_components"}),
        seeded=False, uniform_priors=True, tried=True,
    ),
    "pls_da": EstimatorSpec(PLSDA, seeded=False, calibrated=True, own=True),
    "svm": EstimatorSpec(
        _svm, {"class_weight": "balanced"}, frozenset({"decision_function_shape", "break_ties", "probability"}), calibrated=True
    ),
    "linear_svm": EstimatorSpec(
        _linear_svm, {"class_weight": "balanced", "max_iter": 5000}, frozenset({"multi_class"}), calibrated=True, tried=True
    ),
    "knn": EstimatorSpec(NearestNeighbours, seeded=False, own=True),
    "decision_tree": EstimatorSpec(_decision_tree, {"class_weight": "balanced"}),
    "random_forest": EstimatorSpec(
        _random_forest, {"n_estimators": 300, "class_weight": "balanced_subsample", "n_jobs": 1}
    ),
    # Its own early stopping would hold out rows of patients it learns from.
    "gradient_boosting": EstimatorSpec(
        _gradient_boosting,
        {"max_depth": 4, "min_samples_leaf": 5, "max_features": 0.3, "class_weight": "balanced", "early_stopping": False},
        frozenset({
            "early_stopping", "validation_fraction", "n_iter_no_change", "scoring", "categorical_features", "warm_start",
        }),
    ),
    "xgboost": EstimatorSpec(
        _xgboost,
        {"n_estimators": 200, "max_depth": 4, "learning_rate": 0.1, "subsample": 0.8, "colsample_bytree": 0.3,
         "tree_method": "hist", "n_jobs": 1},
        frozenset({"booster", "objective", "multi_strategy", "callbacks", "early_stopping_rounds"}),
        weighted=True,
        tried=True,
    ),
    "mlp": EstimatorSpec(Perceptron, grouped=True, own=True),
}  # fmt: skip


def fit_estimator(
    model: str,
    params: Mapping[str, Any],
    features: NDArray[np.float64],
    codes: IntArray,
    patients: IntArray,
    seed: int,
) -> Any:
    """Return the model fitted to these rows.

    Args:
        model: name in `ESTIMATORS`.
        params: as the user gave them.
        features: (N, D).
        codes: (N,) class codes 0..k-1, each there at least once.
        patients: (N,) patient codes.
        seed: of whatever the model draws.

    Raises:
        ConfigError: unknown model or parameter, or values that the library refuses, or that these rows do not allow.
    """
    estimator = make_estimator(model, params, seed)
    spec = ESTIMATORS[model]
    if spec.uniform_priors:
        estimator.set_params(priors=np.full(int(codes.max()) + 1, 1 / (codes.max() + 1)))
    try:
        if spec.grouped:
            return estimator.fit(features, codes, patients)
        if spec.weighted:
            return estimator.fit(features, codes, sample_weight=balanced_sample_weights(codes))
        return estimator.fit(features, codes)
    except (ValueError, NotImplementedError) as error:
        rows, columns = features.shape
        raise ConfigError(
            f"{model} cannot be fitted to {counted(rows, 'training row')} of {counted(columns, 'feature')}: "
            f"{_sentence(error)}; change its `params`"
        ) from error


def make_estimator(model: str, params: Mapping[str, Any], seed: int) -> Any:
    """Return the unfitted estimator.

    Raises:
        ConfigError: unknown model or parameter, or a value the library refuses.
    """
    problems = estimator_problems(model, params, model)
    if problems:
        raise ConfigError(problems[0].what)
    spec = ESTIMATORS[model]
    merged = {**spec.defaults, **params}
    if spec.seeded:
        merged["random_state"] = seed % 2**31
    return spec.build(**merged)


def estimator_problems(model: str, params: Mapping[str, Any], where: str) -> list[Problem]:
    """Return what is wrong with a model's name and parameters."""
    if model not in ESTIMATORS:
        guess = closest(model, ESTIMATORS)
        hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(ESTIMATORS)}"
        return [Problem(f"{where}.model", f"unknown model '{model}'; {hint}")]
    spec = ESTIMATORS[model]
    if spec.own:
        return check_params(spec.build, params, f"{where}.params", hidden=["random_state"])
    known = set(spec.build().get_params()) - {"random_state", "n_jobs"} - spec.hidden
    found = []
    for name in params:
        if name not in known:
            guess = closest(name, known)
            hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(sorted(known))}"
            found.append(Problem(f"{where}.params.{name}", f"unknown parameter of {model}; {hint}"))
    return found or _refused_values(spec, params, where)


def _refused_values(spec: EstimatorSpec, params: Mapping[str, Any], where: str) -> list[Problem]:
    """Let the library itself check the values: by its own constraints, and by a fit on four points where need be."""
    estimator = spec.build(**{**spec.defaults, **params})
    try:
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        if spec.tried:
            _try_out(estimator)
    except (ValueError, TypeError, NotImplementedError) as error:
        return [Problem(f"{where}.params", _sentence(error))]
    return []


def _try_out(estimator: Any) -> None:
    if "n_estimators" in estimator.get_params():
        estimator.set_params(n_estimators=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on convergence: four points say nothing of it
        estimator.fit(np.array([[0.0], [1.0], [0.5], [2.0]]), np.array([0, 1, 0, 1]))


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def balanced_sample_weights(codes: IntArray) -> np.ndarray:
    """Return (N,) weights under which every class present has the same total."""
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return np.asarray(len(codes) / (len(counts) * counts))[inverse]
