"""The columns of a table as a study declares them: cells to numbers, levels, categories, days, and yes or no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from polydx.config import ColumnConfig
from polydx.datasets.own_reading import row_of
from polydx.errors import Problem
from polydx.io.text import number, quoted

DAY, DAYS_A_YEAR = 86_400.0, 365.25


@dataclass
class Typed:
    """Columns as a table modality holds them.

    Attributes:
        columns: name -> (n,) float64, ordered Categorical, or objects of text or None.
        units: name -> unit, of numbers.
        problems: every cell that is not what its column is declared to be.
    """

    columns: dict[str, pd.Series] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a row of the file, those without a value too."""
        return pd.DataFrame(self.columns)


@dataclass(frozen=True)
class Cells:
    """The cells of one column, as text.

    Attributes:
        name: of the column in the file.
        wanted: its declaration.
        missing: words that are no value.
        texts: cells, None where there is no value.
        places: of each cell, for an error.
    """

    name: str
    wanted: ColumnConfig
    missing: tuple[str, ...]
    texts: list[str | None]
    places: list[str]

    def refused(self, position: int, expected: str) -> Problem:
        """Return the problem of a cell."""
        unknown = f"or '{self.missing[0]}'" if self.missing else "or nothing if unknown"
        what = f"{self.name} is {quoted(self.texts[position] or '')}; expected {expected}, {unknown}"
        return Problem(self.places[position], what)


def typed_columns(
    frame: pd.DataFrame, wanted: Mapping[str, ColumnConfig], file: str, missing: Sequence[str] = ()
) -> Typed:
    """Return the declared columns of a table; every cell that does not fit is a problem.

    Args:
        frame: as `read_table` gives it, with all the columns and those that dates count from; its index says which
            rows of the file these are.
        wanted: column of the file -> what it holds.
        file: its name, for errors.
        missing: cells that are no value, in every column.
    """
    typed = Typed()
    for name, column in wanted.items():
        cells = _cells(frame, name, column, file, missing)
        called = column.name or name
        before = set(typed.columns)
        if column.kind == "number":
            typed.columns[called] = _numbers(cells, typed.problems)
        elif column.kind == "ordinal":
            typed.columns[called] = _levels(cells, typed.problems)
        elif column.kind == "date":
            since = _cells(frame, column.since or "", column, file, missing)
            typed.columns[called] = _waited(cells, since, typed.problems)
        elif column.kind == "several":
            for value, answers in _several(cells, typed.problems).items():
                typed.columns[f"{called}: {value}"] = answers
        else:
            typed.columns[called] = pd.Series(cells.texts, dtype=object)
        if called in before:
            typed.problems.append(
                Problem(f"column '{name}'", f"is called '{called}' as another one is; give it a `name`")
            )
        unit = column.unit or ("days" if column.kind == "date" else None)
        if unit is not None:
            typed.units[called] = unit
    return typed


def _cells(frame: pd.DataFrame, name: str, wanted: ColumnConfig, file: str, missing: Sequence[str]) -> Cells:
    words = (*wanted.missing, *missing)
    unknown = {word.strip().casefold() for word in words}
    texts: list[str | None] = []
    for value in frame[name]:
        text = "" if pd.isna(value) else as_text(value)
        if text.casefold() in unknown:
            text = ""
        for part in wanted.without:
            text = text.replace(part, "").strip()
        texts.append(text or None)
    return Cells(name, wanted, words, texts, [row_of(file, int(i)) for i in frame.index])


def as_text(value: object) -> str:
    """Return a cell as text, without blanks around it; whole numbers in a column with gaps may be read as 1.0."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return f"{value:.0f}"
    return str(value).strip()


def _numbers(cells: Cells, problems: list[Problem]) -> pd.Series:
    """Return numbers in the column's unit, which may stand behind them."""
    unit, comma = cells.wanted.unit, cells.wanted.decimal == ","
    values = np.full(len(cells.texts), np.nan)
    for i, text in enumerate(cells.texts):
        if text is None:
            continue
        bare = text.removesuffix(unit) if unit else text
        value = number(bare, comma=comma and "," in bare)
        if value is None or not np.isfinite(value):
            problems.append(cells.refused(i, _number_words(cells, text)))
        else:
            values[i] = value
    return pd.Series(values)


def _number_words(cells: Cells, text: str) -> str:
    of = f" of {cells.wanted.unit}" if cells.wanted.unit else ""
    if cells.wanted.decimal is None and "," in text and number(text, comma=True) is not None:
        return f"a number{of} with a decimal point (a comma is declared: `decimal: ','`)"
    return f"a number{of}"


def _levels(cells: Cells, problems: list[Problem]) -> pd.Series:
    order = cells.wanted.order
    for i, text in enumerate(cells.texts):
        if text is not None and text not in order:
            problems.append(cells.refused(i, f"one of {', '.join(order)}"))
    kept = [text if text in order else None for text in cells.texts]
    return pd.Series(pd.Categorical(kept, categories=order, ordered=True))


def _waited(cells: Cells, since: Cells, problems: list[Problem]) -> pd.Series:
    """Return the time from one date to the other, in days or years."""
    until, start = _dates(cells, problems), _dates(since, problems)
    scale = DAY * (DAYS_A_YEAR if cells.wanted.unit == "years" else 1.0)
    return pd.Series(
        [
            np.nan if a is None or b is None else (a - b).total_seconds() / scale
            for a, b in zip(until, start, strict=True)
        ],
        dtype=np.float64,
    )


def _dates(cells: Cells, problems: list[Problem]) -> list[datetime | None]:
    """Return the dates of a column, without a time zone."""
    form = cells.wanted.format
    found: list[datetime | None] = []
    for i, text in enumerate(cells.texts):
        date = None
        try:
            if text is not None:
                date = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
                date = date.replace(tzinfo=None)
        except ValueError:
            problems.append(cells.refused(i, f"a date such as {datetime(1999, 12, 31):{form or '%Y-%m-%d'}}"))
        found.append(date)
    return found


def _several(cells: Cells, problems: list[Problem]) -> dict[str, pd.Series]:
    """Return for each value a column of yes and no; None where the cell is unknown."""
    wanted = cells.wanted
    nothing = {"", *wanted.none}
    split = [
        None if text is None else {part.strip() for part in text.split(wanted.separator or "")} - nothing
        for text in cells.texts
    ]
    values = wanted.values or sorted(set().union(*(found for found in split if found is not None)))
    for i, found in enumerate(split):
        strange = sorted((found or set()) - set(values))
        if strange:
            problems.append(cells.refused(i, f"values of {', '.join(values)} (not '{strange[0]}')"))
    return {
        value: pd.Series([None if f is None else ("yes" if value in f else "no") for f in split], dtype=object)
        for value in values
    }
