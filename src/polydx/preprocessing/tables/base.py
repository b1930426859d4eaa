"""What every step over tables shares: typed columns, and what is learned of each as plain data.

Shapes: `n` rows of the table, `W` numbers that stand for one column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import Problem, StudyError, counted
from polydx.preprocessing.parameters import Parameters

if TYPE_CHECKING:
    import pandas as pd

Kind: TypeAlias = Literal["number", "ordinal", "category"]
Values: TypeAlias = NDArray[Any]
Learned: TypeAlias = dict[str, Any]
"""Name of a column -> what a step learned of it, as JSON holds it."""

WORDS: dict[Kind, str] = {"number": "numbers", "ordinal": "ordered levels", "category": "categories"}


@dataclass(frozen=True)
class ColumnType:
    """What a column holds.

    Attributes:
        name: of the column.
        kind: `number`, `ordinal` or `category`.
        levels: of an ordinal column, lowest first; of a category, those that training rows hold, sorted.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """Rows of one column on their way to numbers.

    Attributes:
        name: of the column.
        kind: `number`, `ordinal` or `category`.
        values: (n,) float64 with NaN where missing (of an ordinal column its level's number); (n,) objects of text with
            None where missing for a category, until `one_hot` makes them (n, W) float64.
        missing: (n, 1) float64, 1 where the value was missing; None if the column carries no such indicator.
    """

    name: str
    kind: Kind
    values: Values
    missing: NDArray[np.float64] | None = None

    def numbers(self) -> NDArray[np.float64]:
        """Return (n, W): the values, and the indicator after them."""
        parts = [self.values.reshape(len(self.values), -1)]
        return np.hstack([*parts, *([] if self.missing is None else [self.missing])]).astype(np.float64)

    def holding(self, values: Values) -> Column:
        """Return the column with other values."""
        return replace(self, values=values)


class TableStep(Parameters):
    """A transformer of typed columns: `learn` of training rows, `apply` to any.

    A subclass stores its parameters in `__init__` under their own names and checks nothing there.
    """

    def learn(self, columns: Sequence[Column]) -> Learned:
        """Return what the step needs to know of training rows: nothing, for steps that treat each row on its own."""
        del columns
        return {}

    def apply(self, columns: Sequence[Column], learned: Mapping[str, Any]) -> list[Column]:
        """Return the transformed columns."""
        raise NotImplementedError

    def problems(self, names: Sequence[str]) -> list[Problem]:
        """Return what keeps the step from working on a table of these columns."""
        del names
        return []

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"


def kind_of(values: pd.Series) -> Kind | None:
    """Return what a column holds by its dtype; None for what no model can take (dates, lists)."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return "ordinal" if values.dtype.ordered else "category"
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
        return "number"
    known = values.dropna()
    if pd.api.types.is_object_dtype(values.dtype) or pd.api.types.is_string_dtype(values.dtype):
        return "category" if all(isinstance(value, str) for value in known) else None
    return None


def types_of(frame: pd.DataFrame) -> list[ColumnType]:
    """Return the types of a table's columns, sorted by name, so that their order in the file says nothing.

    Raises:
        StudyError: a column holds neither numbers nor levels nor text.
    """
    found, problems = [], []
    for name in sorted(map(str, frame.columns)):
        kind = kind_of(frame[name])
        if kind is None:
            what = f"holds {frame[name].dtype}; expected numbers, ordered levels or text: give its type in `columns:`"
            problems.append(Problem(f"column '{name}'", what))
        else:
            found.append(ColumnType(name, kind, _levels(frame[name], kind)))
    if problems:
        raise StudyError(f"{counted(len(problems), 'problem')} in the columns of a table", problems)
    return found


def _levels(values: pd.Series, kind: Kind) -> tuple[str, ...]:
    if kind == "ordinal":
        return tuple(map(str, values.cat.categories))
    return tuple(sorted(values.dropna().astype(str).unique())) if kind == "category" else ()


def typed_columns(frame: pd.DataFrame, types: Sequence[ColumnType]) -> list[Column]:
    """Return the columns of these types; a category that is none of the levels counts as missing.

    Raises:
        StudyError: a column is lacking, holds another kind of values or other levels, or an infinite number; the
            message names each.
    """
    problems = [problem for about in types for problem in _misfits(frame, about)]
    if problems:
        raise StudyError(f"{counted(len(problems), 'problem')} in the columns of a table", problems)
    return [Column(about.name, about.kind, _values(frame[about.name], about)) for about in types]


def _misfits(frame: pd.DataFrame, about: ColumnType) -> list[Problem]:
    where = f"column '{about.name}'"
    if about.name not in frame.columns:
        return [Problem(where, f"is lacking; the model knows it as {WORDS[about.kind]}")]
    values = frame[about.name]
    if values.isna().all():
        return []  # pandas gives an empty column whatever type it likes
    kind = kind_of(values)
    if kind != about.kind:
        held = str(values.dtype) if kind is None else WORDS[kind]
        return [Problem(where, f"holds {held}; the model knows it as {WORDS[about.kind]}")]
    if kind == "number" and not np.isfinite(values.dropna().to_numpy(dtype=np.float64)).all():
        return [Problem(where, "holds an infinite value; mend it, or leave the cell empty")]
    if kind == "ordinal" and _levels(values, kind) != about.levels:
        told = " < ".join(_levels(values, kind))
        return [Problem(where, f"has the levels {told}; the model knows {' < '.join(about.levels)}")]
    return []


def _values(values: pd.Series, about: ColumnType) -> Values:
    import pandas as pd

    if about.kind == "number":
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if about.kind == "ordinal" and isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy(dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)
    if about.kind == "ordinal":
        return np.full(len(values), np.nan)
    known = set(about.levels)
    cells = [str(v) if not pd.isna(v) and str(v) in known else None for v in values]
    return np.array([*cells, None], dtype=object)[:-1]


def mean_of(values: NDArray[np.float64]) -> float:
    """Return the mean of (n,) numbers, the same to the last bit in whatever order they stand."""
    return float(np.sort(values).mean())
