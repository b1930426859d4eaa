"""Classical models by name, checked, made and fitted; see `polydx.recipes.catalogue` for the models themselves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, Problem, counted
from polydx.params import check_params, closest
from polydx.recipes.catalogue import ESTIMATORS, EstimatorSpec
from polydx.study import IntArray

_SOUND: set[str] = set()
"""Models with parameters that were found sound: a check takes as long as a small fit, and a run has thousands."""


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
    given: tuple[Any, ...] = (features, codes, patients) if spec.grouped else (features, codes)
    weights = {"sample_weight": balanced_sample_weights(codes)} if spec.weighted else {}
    try:
        return estimator.fit(*given, **weights)
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
    key = f"{model} {sorted(params.items())!r}"
    if key not in _SOUND:
        problems = estimator_problems(model, params, model)
        if problems:
            raise ConfigError(problems[0].what)
        _SOUND.add(key)
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
