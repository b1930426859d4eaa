"""Steps that choose columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from polydx.errors import Problem
from polydx.params import unknown
from polydx.preprocessing.tables.base import Column, TableStep

Names = Annotated[list[str], Field(min_length=1)]


class SelectColumns(TableStep):
    """Keep these columns alone.

    Args:
        columns: their names.
    """

    def __init__(self, columns: Names) -> None:
        self.columns = columns

    def apply(self, columns: Sequence[Column], learned: Mapping[str, Any]) -> list[Column]:
        """Return the columns that are kept."""
        del learned
        return [column for column in columns if column.name in self.columns]

    def problems(self, names: Sequence[str]) -> list[Problem]:
        """Return the names that are no columns."""
        return [Problem("select.columns", unknown("column", c, names)) for c in self.columns if c not in names]


class DropColumns(TableStep):
    """Leave these columns out.

    Args:
        columns: their names.
    """

    def __init__(self, columns: Names) -> None:
        self.columns = columns

    def apply(self, columns: Sequence[Column], learned: Mapping[str, Any]) -> list[Column]:
        """Return the columns that are left."""
        del learned
        return [column for column in columns if column.name not in self.columns]

    def problems(self, names: Sequence[str]) -> list[Problem]:
        """Return the names that are no columns, or that nothing is left."""
        found = [Problem("drop.columns", unknown("column", c, names)) for c in self.columns if c not in names]
        nothing = not found and not set(names) - set(self.columns)
        return [*found, *([Problem("drop.columns", "leaves no column")] if nothing else [])]
