"""What every step over spectra shares: checked input, checked parameters, fitted arrays that can be stored.

The steps keep scikit-learn's protocol without inheriting from it, so that a deployed model can prepare spectra where
scikit-learn is not installed. All of them compute in float64 and return float64, whatever they are given.

Shapes: `N` spectra, `L` points of the axis.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polydx.errors import AxisError, ConfigError, Problem, SpectrumError
from polydx.params import check_params
from polydx.preprocessing.parameters import Parameters

Values: TypeAlias = NDArray[np.float64]
Axis: TypeAlias = NDArray[np.float64]

MOST_ROWS_NAMED = 10


class SpectrumValueError(SpectrumError, ValueError):
    """A SpectrumError that scikit-learn's own tools also know as bad input."""


class SpectralStep(Parameters):
    """A transformer of (N, L) spectra after scikit-learn's protocol: fit, transform, get_params, clone.

    A subclass stores its parameters in `__init__` under their own names, checks nothing there, and overrides
    `_transform` and, if it learns anything, `_learn` and `fitted`.
    """

    fitted: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that `fit` learns; with the parameters they are the whole state of a step."""
    min_points: ClassVar[int] = 1
    min_rows: ClassVar[int] = 1
    needs_axis: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    keeps_axis: ClassVar[bool] = True
    """Whether the columns that come out still are points of a wavenumber axis."""

    axis: ArrayLike | None = None
    n_features_in_: int

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn what the step needs from training spectra.

        Args:
            X: (N, L) training spectra.
            y: (N,) class codes; only `SelectBest` looks at them.

        Raises:
            ConfigError: a parameter is of the wrong type or out of range.
            AxisError: the step needs an axis and has none, or one of another length.
            SpectrumError: the spectra are not a finite (N, L) array, or the step cannot work on them.
        """
        self.check()
        values = as_spectra(X, type(self).__name__, self.min_rows, self.min_points)
        self.n_features_in_ = values.shape[1]
        raise_problems(type(self).__name__, self.problems(values.shape[1]))
        self._check_axis()
        self._fit(values, None if y is None else np.asarray(y))
        return self

    def transform(self, X: ArrayLike) -> Values:
        """Return the transformed spectra, float64.

        Args:
            X: (N, L) spectra on the axis of the training spectra.

        Raises:
            SpectrumError: not a finite (N, L) array, another L than in training, or rows the step cannot work on.
        """
        if not hasattr(self, "n_features_in_"):
            raise_not_fitted(type(self).__name__)
        values = as_spectra(X, type(self).__name__)
        if values.shape[1] != self.n_features_in_:
            found = f"X has {values.shape[1]} features, but {type(self).__name__} is expecting"
            raise SpectrumValueError(
                f"{found} {self.n_features_in_} features as input: resample the spectra onto the training axis"
            )
        return self._transform(values)

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Values:
        """Fit on the spectra and return them transformed."""
        return self.fit(X, y).transform(X)

    def _fit(self, values: Values, y: NDArray[Any] | None) -> None:
        """Learn from spectra and labels: of interest to supervised steps only."""
        del y
        self._learn(values)

    def _learn(self, values: Values) -> None:
        """Learn nothing: right for steps that treat each spectrum on its own."""

    def _transform(self, values: Values) -> Values:
        raise NotImplementedError

    def problems(self, points: int | None) -> list[Problem]:
        """Return what is wrong with the parameters taken together, and with spectra of so many points."""
        del points
        return []

    def axis_out(self, axis: Axis | None) -> Axis | None:
        """Return the axis of the transformed spectra, None where their columns are no wavenumbers."""
        return axis if self.keeps_axis else None

    def check(self) -> None:
        """Raise a ConfigError that lists all parameters of a wrong type or out of range."""
        params = {name: value for name, value in self.get_params().items() if name != "axis"}
        raise_problems(type(self).__name__, check_params(type(self), params, type(self).__name__))

    def _check_axis(self) -> None:
        axis = self._given_axis() if self.needs_axis or self.axis is not None else None
        if axis is not None and len(axis) != self.n_features_in_:
            raise AxisError(f"{type(self).__name__}: spectra have {self.n_features_in_} points, the axis {len(axis)}")
        self.axis_out(axis)

    def _given_axis(self) -> Axis:
        if self.axis is None:
            raise AxisError(f"{type(self).__name__} works in cm^-1 and needs the axis of the spectra: pass `axis`")
        return check_axis(self.axis)

    def __repr__(self) -> str:
        """Return the constructor call, without the axis."""
        params = {name: value for name, value in self.get_params().items() if name != "axis"}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in params.items())})"

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of a transformer of dense arrays."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=self.needs_labels),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(),
            requires_fit=True,
        )


def as_spectra(X: Any, where: str, min_rows: int = 0, min_points: int = 1) -> Values:
    """Return spectra as a C-contiguous float64 (N, L) array of finite numbers.

    Raises:
        SpectrumError: not two-dimensional, too few rows or points, not real numbers, or NaN or infinite; the message
            names the rows.
    """
    if hasattr(X, "toarray"):
        raise SpectrumValueError(f"{where}: expected a dense (N, L) array, found a sparse one: use `.toarray()`")
    try:
        array = np.asarray(X)
        if np.iscomplexobj(array):
            raise SpectrumValueError(f"{where}: Complex data not supported; give the intensities as real numbers")
        values = np.ascontiguousarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, SpectrumError):
            raise
        raise SpectrumValueError(f"{where}: expected an (N, L) array of numbers: {error}") from error
    if array.ndim != 2:
        remedy = "Reshape your data to (1, L) for one spectrum" if array.ndim == 1 else "expected (N, L)"
        raise SpectrumValueError(f"{where}: found an array of shape {array.shape}. {remedy}")
    _check_size(values, where, min_rows, min_points)
    refuse_rows(
        ~np.asarray(np.isfinite(values).all(axis=1)),
        f"{where}: {{rows}} NaN or infinite values (NaN, inf)",
        ("has", "have"),
    )
    return values


def _check_size(values: Values, where: str, min_rows: int, min_points: int) -> None:
    rows, points = values.shape
    if points < min_points:
        found = f"Found array with {points} feature(s) (shape={values.shape})"
        raise SpectrumValueError(f"{found} while a minimum of {min_points} is required by {where}.")
    if rows < min_rows:
        found = f"Found array with {rows} sample(s) (shape={values.shape})"
        raise SpectrumValueError(f"{found} while a minimum of {min_rows} is required by {where}.")


def refuse_rows(bad: NDArray[np.bool_], message: str, verb: tuple[str, str] = ("is", "are")) -> None:
    """Raise a SpectrumError that names the bad rows, if there are any.

    Args:
        bad: (N,) True where a row is refused.
        message: the sentence, with `{rows}` where rows and verb stand: '{rows} constant' -> 'rows 3, 7 are constant'.
        verb: its singular and plural.
    """
    rows = np.flatnonzero(bad)
    if len(rows) == 0:
        return
    named = ", ".join(map(str, rows[:MOST_ROWS_NAMED]))
    more = f" and {len(rows) - MOST_ROWS_NAMED} more" if len(rows) > MOST_ROWS_NAMED else ""
    subject = f"row {named} {verb[0]}" if len(rows) == 1 else f"rows {named}{more} {verb[1]}"
    raise SpectrumValueError(message.format(rows=subject))


def check_axis(axis: ArrayLike) -> Axis:
    """Return the axis as float64 (L,).

    Raises:
        AxisError: not one-dimensional, not finite, or not strictly rising; the message names the first such point.
    """
    try:
        points = np.asarray(axis, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AxisError(f"expected an axis of numbers (cm^-1): {error}") from error
    if points.ndim != 1 or len(points) == 0:
        raise AxisError(f"expected an axis of shape (L,), found {points.shape}")
    if not np.all(np.isfinite(points)):
        raise AxisError(f"the axis is not finite at point {np.flatnonzero(~np.isfinite(points))[0]}")
    falls = np.flatnonzero(np.diff(points) <= 0)
    if len(falls) == len(points) - 1 > 0 and np.all(np.diff(points) < 0):
        raise AxisError("the axis is descending: reverse it together with the intensities")
    if len(falls):
        i = int(falls[0])
        raise AxisError(f"the axis must rise strictly: {points[i]:g} is followed by {points[i + 1]:g} at point {i + 1}")
    return points


def raise_problems(subject: str, problems: list[Problem]) -> None:
    """Raise one ConfigError over all the problems, if there are any."""
    if problems:
        raise ConfigError(f"{subject}: {len(problems)} wrong parameter{'s' * (len(problems) > 1)}", problems)


def raise_not_fitted(name: str, kind: str = "spectra") -> NoReturn:
    """Raise scikit-learn's own error, which its tools look for."""
    from sklearn.exceptions import NotFittedError

    raise NotFittedError(f"this {name} is not fitted yet: call `fit` with training {kind} first")
