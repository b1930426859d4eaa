"""A chain of steps over spectra that carries the axis along, and can be stored as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polydx.errors import AxisError, BundleError, ConfigError, Problem, counted
from polydx.params import check_params, unknown
from polydx.preprocessing.named import Described, name_and_params, plain_params
from polydx.preprocessing.spectra import STEPS, SpectralStep
from polydx.preprocessing.spectra.base import Axis, Values, as_spectra, check_axis, raise_not_fitted

STATE_VERSION = 1


class SpectraPipeline:
    """Steps applied one after the other, each told the axis that the steps before it leave.

    Args:
        steps: (name, transformer) in order; names are those of `STEPS`.
        axis: (L,) axis of the spectra in cm^-1, or None if no step needs it.

    Raises:
        AxisError: a step needs an axis where there is none, or does not fit the one there is.

    Attributes:
        input_axis: axis of the spectra that go in.
        axis_out: axis of those that come out; None where the columns are no wavenumbers (after PCA or a selection).
    """

    def __init__(self, steps: Sequence[tuple[str, SpectralStep]], axis: ArrayLike | None = None) -> None:
        self.steps = steps
        self.axis = axis
        self.input_axis: Axis | None = None if axis is None else check_axis(axis)
        self.axis_out: Axis | None = _hand_on_axis(steps, self.input_axis)

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit each step on the training spectra as the steps before it leave them.

        Args:
            X: (N, L) training spectra.
            y: (N,) class codes, for steps that select by them.

        Raises:
            AxisError: the spectra do not fit the axis.
            SpectrumError, ConfigError: as the steps raise them.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Values:
        """Fit each step and return the transformed training spectra, float64."""
        values = self._input(X, min_rows=1)
        points = values.shape[1]
        for _, step in self.steps:
            values = step.fit_transform(values, y)
        self.n_features_in_ = points
        return values

    def transform(self, X: ArrayLike) -> Values:
        """Return the transformed spectra, float64.

        Args:
            X: (N, L) spectra on `input_axis`.

        Raises:
            AxisError: the spectra do not fit the axis.
            SpectrumError: as the steps raise it.
        """
        if not hasattr(self, "n_features_in_"):
            raise_not_fitted("SpectraPipeline")
        values = self._input(X)
        for _, step in self.steps:
            values = step.transform(values)
        return values

    def _input(self, X: ArrayLike, min_rows: int = 0) -> Values:
        values = as_spectra(X, "preprocessing", min_rows)
        if self.input_axis is not None and values.shape[1] != len(self.input_axis):
            raise AxisError(
                f"spectra have {values.shape[1]} points, the axis {len(self.input_axis)}: "
                "resample them onto the axis first"
            )
        return values

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters, so that scikit-learn can clone the pipeline."""
        del deep
        return {"steps": self.steps, "axis": self.axis}

    def __repr__(self) -> str:
        """Return the names of the steps."""
        return f"SpectraPipeline({', '.join(name for name, _ in self.steps)})"

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted pipeline as data: what JSON can hold, and arrays by name.

        Raises:
            NotFittedError: it is not fitted.
        """
        if not hasattr(self, "n_features_in_"):
            raise_not_fitted("SpectraPipeline")
        arrays: dict[str, NDArray[Any]] = {} if self.input_axis is None else {"axis": self.input_axis}
        described = []
        for i, (name, step) in enumerate(self.steps):
            described.append({"name": name, "params": _params(step), "points": step.n_features_in_})
            arrays |= {f"{i}.{name}.{field}": np.ascontiguousarray(getattr(step, field)) for field in step.fitted}
        return {"version": STATE_VERSION, "points": self.n_features_in_, "steps": described}, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SpectraPipeline:
        """Return the fitted pipeline that `to_state` described.

        Raises:
            BundleError: another version, a missing array, or steps that do not exist.
        """
        if config.get("version") != STATE_VERSION:
            raise BundleError(
                f"the preprocessing has state version {config.get('version')!r}, this polydx reads {STATE_VERSION}"
            )
        try:
            described = [(str(step["name"]), dict(step["params"])) for step in config["steps"]]
            pipeline = build_pipeline(described, arrays.get("axis"))
            for i, ((name, step), stored) in enumerate(zip(pipeline.steps, config["steps"], strict=True)):
                step.n_features_in_ = int(stored["points"])
                for field in step.fitted:
                    setattr(step, field, np.ascontiguousarray(arrays[f"{i}.{name}.{field}"]))
            pipeline.n_features_in_ = int(config["points"])
        except KeyError as error:
            raise BundleError(
                f"the stored preprocessing lacks {error}: the file is incomplete, export it again"
            ) from error
        except (ConfigError, AxisError) as error:
            raise BundleError(f"the stored preprocessing is broken: {error.message}", error.problems) from error
        return pipeline


def build_pipeline(steps: Sequence[Described], axis: ArrayLike | None = None) -> SpectraPipeline:
    """Return an unfitted pipeline, after a check of all names and parameters.

    Args:
        steps: each a name, a (name, params) pair, or an object with `name` and `params`.
        axis: (L,) axis of the spectra in cm^-1.

    Raises:
        ConfigError: lists every unknown step, unknown parameter and wrong value.
        AxisError: a step needs an axis where there is none, or does not fit the one there is.
    """
    input_axis = None if axis is None else check_axis(axis)
    named = [name_and_params(step) for step in steps]
    problems: list[Problem] = []
    for name, params in named:
        problems += _step_problems(name, params)
    if not problems:
        built = [(name, STEPS[name](**params)) for name, params in named]
        points = None if input_axis is None else len(input_axis)
        problems = [problem for _, step in built for problem in step.problems(None)]
        if not problems:
            problems = _length_problems(built, input_axis, points)
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in the preprocessing of spectra", problems)
    return SpectraPipeline(built, input_axis)


def _step_problems(name: str, params: Mapping[str, Any]) -> list[Problem]:
    if name not in STEPS:
        return [Problem(name, unknown("step", name, STEPS))]
    if "axis" in params:
        return [Problem(f"{name}.axis", "is given by the study: leave it out")]
    return check_params(STEPS[name], params, name, hidden=["axis"])


def _length_problems(steps: Sequence[tuple[str, SpectralStep]], axis: Axis | None, points: int | None) -> list[Problem]:
    """Return the steps that do not fit spectra of the length they will be given, as far as the axis tells it."""
    found: list[Problem] = []
    for _, step in steps:
        found += step.problems(points)
        axis = step.axis_out(axis)
        points = None if axis is None else len(axis)
    return found


def _hand_on_axis(steps: Sequence[tuple[str, SpectralStep]], axis: Axis | None) -> Axis | None:
    """Tell each step its axis and return the one after the last."""
    for name, step in steps:
        if step.needs_axis and axis is None:
            raise AxisError(
                f"step '{name}' works in cm^-1, but there is no axis here: put it before pca and select_best, "
                "and give the axis of the spectra"
            )
        if "axis" in step.parameter_names():
            step.axis = axis
        axis = step.axis_out(axis)
    return axis


def _params(step: SpectralStep) -> dict[str, Any]:
    return plain_params({name: value for name, value in step.get_params().items() if name != "axis"})
