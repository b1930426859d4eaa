"""The tables of a user's own study: typed columns, joined to samples; a row without any value is no row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from polydx.config import TableConfig
from polydx.datasets.own_joining import joined, key_column
from polydx.datasets.own_reading import Reading, column_hint, told
from polydx.datasets.typed_columns import Typed, typed_columns
from polydx.errors import PolydxError, Problem, counted
from polydx.io.tables import read_table
from polydx.study import RowIndex, Table

Members = Sequence[Sequence[int]]


def read_own_table(
    reading: Reading, name: str, wanted: TableConfig, samples: pd.DataFrame, members: Members
) -> tuple[Table, RowIndex] | None:
    """Return a table and the row each sample has in it; None if it cannot be read, which is then a problem.

    Args:
        reading: the study so far; problems and notes are added to it.
        name: the modality's name.
        wanted: its section.
        samples: the samples' frame, with `patient`.
        members: for each sample, the rows of the samples table it was made of.
    """
    frame, file = reading.table, reading.file.name
    if wanted.file is not None:
        path = reading.base / wanted.file
        try:
            frame, file = read_table(path, text=[reading.key(wanted.by), wanted.by]), path.name
        except PolydxError as error:
            reading.problems += [Problem(f"modality '{name}': {path.name}", what) for what in told(error)]
            return None
    if not _has_columns(reading, name, wanted, frame, file):
        return None
    typed = typed_columns(frame.reset_index(drop=True), wanted.columns, file, wanted.missing)
    reading.problems += typed.problems
    if not typed.problems and not typed.frame.notna().to_numpy().any():
        what = f"no cell of {file} holds a value in any of the columns {', '.join(wanted.columns)}"
        reading.problems.append(Problem(f"modality '{name}'", what))
        return None
    if wanted.file is None:
        owned = [_agreeing(reading, name, typed.frame, rows) for rows in members]
    else:
        found = joined(reading, name, wanted.by, frame, file, samples)
        if found is None:
            return None
        owned = found
        several = next((rows for rows in owned if len(rows) > 1), None)
        if several is not None:
            key = frame[key_column(reading, wanted.by, frame) or ""].iloc[several[0]]
            what = f"{wanted.by} '{key}' stands twice in {file}; a table needs one row each"
            reading.problems.append(Problem(f"modality '{name}'", what))
    return with_values(reading, name, typed, owned)


def with_values(
    reading: Reading, name: str, typed: Typed, owned: Sequence[Sequence[int]]
) -> tuple[Table, RowIndex] | None:
    """Return the rows that hold a value; the samples of others lack the table, and a note says how many do."""
    there = typed.frame.notna().any(axis=1).to_numpy()
    kept = [[row for row in rows if there[row]] for rows in owned]
    bare = sum(len(rows) > len(left) for rows, left in zip(owned, kept, strict=True))
    if bare:
        reading.notes.append(f"'{name}': {counted(bare, 'sample')} whose row holds no value counted as without a row")
    position = np.cumsum(there) - 1
    table = Table(typed.frame[there].reset_index(drop=True), typed.units)
    return table, RowIndex.from_lists([[int(position[row]) for row in rows] for rows in kept])


def _has_columns(reading: Reading, name: str, wanted: TableConfig, frame: pd.DataFrame, file: str) -> bool:
    needed = [*wanted.columns, *(c.since for c in wanted.columns.values() if c.since is not None)]
    lacking = [column for column in dict.fromkeys(needed) if column not in frame]
    reading.problems += [
        Problem(f"modality '{name}'", f"{file} has no column '{c}'; {column_hint(c, frame)}") for c in lacking
    ]
    return not lacking


def _agreeing(reading: Reading, name: str, frame: pd.DataFrame, rows: Sequence[int]) -> list[int]:
    """Return the one row that speaks for a sample made of several; rows that differ are a problem."""
    several = frame.iloc[list(rows)]
    differing = [column for column in several if several[column].nunique(dropna=False) > 1]
    if differing:
        what = f"'{differing[0]}' of '{name}' differs between the rows of this patient; give one value"
        reading.problems.append(Problem(reading.row(rows[0]), what))
    return list(rows)[:1]
