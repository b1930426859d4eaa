"""Numbers of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polydx.preprocessing.tables.base import Column, Learned, TableStep, mean_of


class StandardiseColumns(TableStep):
    """Give numbers and the numbers of ordered levels mean 0 and (population) standard deviation 1 over training rows.

    Columns of 0 and 1, categories and what tells that a value was missing, stay. A constant column is centred only.
    Equals `sklearn.preprocessing.StandardScaler`.
    """

    def learn(self, columns: Sequence[Column]) -> Learned:
        """Return mean and scale of each column of numbers or levels."""
        return {c.name: _moments(c.values) for c in columns if c.kind != "category"}

    def apply(self, columns: Sequence[Column], learned: Mapping[str, Any]) -> list[Column]:
        """Return the scaled columns."""
        return [_scaled(c, learned[c.name]) if c.name in learned else c for c in columns]


def _moments(values: np.ndarray) -> dict[str, float]:
    mean = mean_of(values)
    variance = mean_of(np.square(values - mean))
    rounding = len(values) * np.finfo(np.float64).eps
    constant = variance <= rounding * variance + (rounding * mean) ** 2
    return {"mean": mean, "scale": 1.0 if constant else float(np.sqrt(variance))}


def _scaled(column: Column, about: Mapping[str, float]) -> Column:
    return column.holding((column.values - about["mean"]) / about["scale"])
