"""Classical models by name: scikit-learn and XGBoost with defaults for few patients and many wavenumbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from polydx.errors import ConfigError, Problem
from polydx.params import closest
from polydx.study import IntArray


@dataclass(frozen=True)
class EstimatorSpec:
    """How a named model is made.

    Attributes:
        build: returns the unfitted estimator for these keyword arguments.
        defaults: ours, where they differ from the library's.
        seeded: takes `random_state`.
        calibrated: gives no probabilities of its own; its decision values are calibrated on inner patients.
        weighted: has no `class_weight`; balanced sample weights are passed to `fit` instead.
    """

    build: Callable[..., Any]
    defaults: Mapping[str, Any]
    seeded: bool = True
    calibrated: bool = False
    weighted: bool = False


def _logistic_regression(**params: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**params)


def _svm(**params: Any) -> Any:
    from sklearn.svm import SVC

    return SVC(**params)


def _random_forest(**params: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**params)


def _xgboost(**params: Any) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(**params)


ESTIMATORS: dict[str, EstimatorSpec] = {
    "logistic_regression": EstimatorSpec(_logistic_regression, {"max_iter": 500, "class_weight": "balanced"}),
    "svm": EstimatorSpec(_svm, {"class_weight": "balanced"}, calibrated=True),
    "random_forest": EstimatorSpec(
        _random_forest, {"n_estimators": 300, "class_weight": "balanced_subsample", "n_jobs": 1}
    ),
    "xgboost": EstimatorSpec(
        _xgboost,
        {"n_estimators": 200, "max_depth": 4, "learning_rate": 0.1, "subsample": 0.8, "colsample_bytree": 0.3,
         "tree_method": "hist", "n_jobs": 1},
        weighted=True,
    ),
}


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
    known = set(spec.build().get_params()) - {"random_state", "n_jobs"}
    found = []
    for name in params:
        if name not in known:
            guess = closest(name, known)
            hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(sorted(known))}"
            found.append(Problem(f"{where}.params.{name}", f"unknown parameter of {model}; {hint}"))
    return found or _refused_values(spec, params, where)


def _refused_values(spec: EstimatorSpec, params: Mapping[str, Any], where: str) -> list[Problem]:
    """Let the library itself check the values: by its own constraints, else by a fit on four points."""
    estimator = spec.build(**{**spec.defaults, **params})
    try:
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        else:
            estimator.set_params(n_estimators=1).fit(np.zeros((4, 1)), np.array([0, 1, 0, 1]))
    except (ValueError, TypeError) as error:
        return [Problem(f"{where}.params", " ".join(str(error).split())[:300])]
    return []


def balanced_sample_weights(codes: IntArray) -> np.ndarray:
    """Return (N,) weights under which every class present has the same total."""
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return np.asarray(len(codes) / (len(counts) * counts))[inverse]
