"""Preparing tables: one class a step, over typed columns. `STEPS` maps the names used in YAML to the classes."""

from __future__ import annotations

from polydx.preprocessing.tables.base import TableStep
from polydx.preprocessing.tables.columns import DropColumns, SelectColumns
from polydx.preprocessing.tables.impute import ImputeColumns
from polydx.preprocessing.tables.one_hot import OneHot
from polydx.preprocessing.tables.scale import StandardiseColumns

STEPS: dict[str, type[TableStep]] = {
    "select": SelectColumns,
    "drop": DropColumns,
    "impute": ImputeColumns,
    "one_hot": OneHot,
    "standardise": StandardiseColumns,
}
"""In the order in which they must stand."""

__all__ = [
    "STEPS",
    "DropColumns",
    "ImputeColumns",
    "OneHot",
    "SelectColumns",
    "StandardiseColumns",
    "TableStep",
]
