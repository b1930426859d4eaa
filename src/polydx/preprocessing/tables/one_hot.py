"""Categories as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from polydx.preprocessing.tables.base import Column, Learned, TableStep


class OneHot(TableStep):
    """Give each category of the training rows a column of its own: 1 where a row has it, else 0.

    Args:
        rare: categories of fewer training rows than this share one column; 0 keeps all apart.

    Equals `sklearn.preprocessing.OneHotEncoder(min_frequency=rare)`.
    """

    def __init__(self, rare: Annotated[int, Field(ge=0)] = 0) -> None:
        self.rare = rare

    def learn(self, columns: Sequence[Column]) -> Learned:
        """Return for each column of categories the groups that have a column each; missing is `null`, and last."""
        return {column.name: self._groups(column) for column in columns if column.kind == "category"}

    def _groups(self, column: Column) -> list[list[str | None]]:
        counts = Counter(column.values.tolist())
        levels = sorted(counts, key=lambda level: (level is None, level or ""))
        often: list[list[str | None]] = [[v] for v in levels if v is None or counts[v] >= self.rare]
        rare: list[str | None] = [v for v in levels if v is not None and counts[v] < self.rare]
        return [*often, *([rare] if rare else [])]

    def apply(self, columns: Sequence[Column], learned: Mapping[str, Any]) -> list[Column]:
        """Return the columns, categories as (n, W) of 0 and 1."""
        return [_coded(c, learned[c.name]) if c.kind == "category" else c for c in columns]


def _coded(column: Column, groups: Sequence[Sequence[str | None]]) -> Column:
    place = {level: number for number, group in enumerate(groups) for level in group}
    coded = np.zeros((len(column.values), len(groups)))
    coded[np.arange(len(coded)), [place[level] for level in column.values]] = 1.0
    return column.holding(coded)
