"""Missing values filled from training rows, and told to the model beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from polydx.preprocessing.tables.base import Column, Learned, TableStep, Values, mean_of


class ImputeColumns(TableStep):
    """Fill gaps with what training rows hold, and add an indicator to columns that have gaps in training.

    A column without any value in training is left out. A category that training rows do not know counts as missing.

    Args:
        number: `median` or `mean`.
        ordinal: `median` (of an even number of rows the lower of the two in the middle, so that it is a level) or
            `most_frequent` (of equally frequent ones the lowest).
        category: `missing` makes missing a category of its own, where training rows have gaps (else what is missing
            later gets the most frequent one); `most_frequent` fills (of equally frequent ones the first by name).
        indicators: add a column of 0 and 1 that tells what was missing, where training rows have gaps; a category
            that has missing as its own needs none.

    Equals `sklearn.impute.SimpleImputer(add_indicator=True)`, but for the lower median of levels.
    """

    def __init__(
        self,
        number: Literal["median", "mean"] = "median",
        ordinal: Literal["median", "most_frequent"] = "median",
        category: Literal["missing", "most_frequent"] = "missing",
        indicators: bool = True,
    ) -> None:
        self.number = number
        self.ordinal = ordinal
        self.category = category
        self.indicators = indicators

    def learn(self, columns: Sequence[Column]) -> Learned:
        """Return for each column that holds a value: what fills its gaps, and whether there are any."""
        found: Learned = {}
        for column in columns:
            gaps = is_missing(column.values)
            if not gaps.all():
                found[column.name] = {"fill": self._fill(column, column.values[~gaps]), "gaps": bool(gaps.any())}
        return found

    def _fill(self, column: Column, known: Values) -> float | str:
        if column.kind == "category":
            return str(_most_frequent(known))
        if column.kind == "ordinal":
            if self.ordinal == "median":
                return float(np.sort(known)[(len(known) - 1) // 2])
            return float(_most_frequent(known))
        return float(np.median(known)) if self.number == "median" else mean_of(known)

    def apply(self, columns: Sequence[Column], learned: Mapping[str, Any]) -> list[Column]:
        """Return the filled columns, with indicators."""
        return [self._filled(column, learned[column.name]) for column in columns if column.name in learned]

    def _filled(self, column: Column, about: Mapping[str, Any]) -> Column:
        if column.kind == "category" and self.category == "missing" and about["gaps"]:
            return column
        gaps = is_missing(column.values)
        values = column.values.copy()
        values[gaps] = about["fill"]
        indicator = gaps.astype(np.float64)[:, None] if self.indicators and about["gaps"] else None
        return replace(column, values=values, missing=indicator)


def is_missing(values: Values) -> np.ndarray:
    """Return (n,) True where a number is NaN, or a text None."""
    return np.array([v is None for v in values], dtype=bool) if values.dtype == object else np.isnan(values)


def _most_frequent(known: Values) -> Any:
    counts = Counter(known.tolist())
    most = max(counts.values())
    return min(value for value, count in counts.items() if count == most)
