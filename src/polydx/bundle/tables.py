"""Values of a table, typed as in training; what is out of the ordinary is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from polydx.errors import Problem, ReadError
from polydx.params import unknown
from polydx.recipes.store import ColumnOf
from polydx.study import Table


@dataclass(frozen=True)
class Values:
    """One row of a table.

    Attributes:
        of: column -> a number, or the text of a level or category; None if missing.
    """

    of: Mapping[str, float | str | None]

    @classmethod
    def checked(cls, modality: str, columns: Sequence[ColumnOf], given: Mapping[str, Any], told: list[str]) -> Values:
        """Return the values as the columns have them; `told` gains what should be known.

        Raises:
            ReadError: a column that the model does not know, or text where a number belongs.
        """
        names = [column.name for column in columns]
        problems = [Problem(modality, unknown("column", str(key), names)) for key in given if str(key) not in names]
        found: dict[str, float | str | None] = {}
        for column in columns:
            value = given.get(column.name)
            try:
                found[column.name] = None if is_empty(value) else _value(modality, column, value, told)
            except (TypeError, ValueError, OverflowError):
                problems.append(Problem(f"{modality}.{column.name}", f"expected a number, found {str(value)[:40]!r}"))
        if problems:
            raise ReadError("values that the table of the model cannot hold", problems)
        return cls(found)


def is_empty(value: Any) -> bool:
    """Tell whether nothing is given."""
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _value(modality: str, column: ColumnOf, value: Any, told: list[str]) -> float | str | None:
    where = f"{modality}: {column.name}"
    if column.kind == "number":
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        if column.low is not None and column.high is not None and not column.low <= number <= column.high:
            told.append(f"{where} = {number:g} is outside the {column.low:g} to {column.high:g} of training")
        return number
    text = _text(value)
    if text not in column.categories:
        told.append(f"{where} = {text[:40]!r} was not seen in training: taken as missing")
        return None
    return text


def _text(value: Any) -> str:
    """Return a category as text; a whole number that became a float by a gap in its column is itself again."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def table_of(columns: Sequence[ColumnOf], rows: Sequence[Values]) -> Table:
    """Return rows as a table of the columns' types."""
    made: dict[str, Any] = {}
    for column in columns:
        values = [row.of[column.name] for row in rows]
        if column.kind == "number":
            made[column.name] = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        elif column.kind == "ordinal":
            made[column.name] = pd.Categorical(values, categories=column.categories, ordered=True)
        else:
            made[column.name] = pd.Series(values, dtype=object)
    return Table(pd.DataFrame(made))
