"""What is known while a user's own study is read: the samples table, and all that was wrong so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from polydx.config import SpectraConfig, StudyConfig
from polydx.errors import PolydxError, Problem, StudyError
from polydx.io.spectra import WideSpectra, read_spectra_table
from polydx.io.tables import read_table
from polydx.params import closest


@dataclass
class Reading:
    """A study half read.

    Attributes:
        config: the `study:` section.
        base: folder of the YAML, where the paths in it start.
        name: the study's name.
        file: the samples table.
        table: its rows; in a wide table, the columns that are no axis points.
        wide: the spectra, where the samples table holds them itself.
        problems: all that is wrong, in the words of an error.
        notes: what was changed or left out.
    """

    config: StudyConfig
    base: Path
    name: str
    file: Path
    table: pd.DataFrame
    wide: WideSpectra | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where paths in the samples table start."""
        return self.file.parent

    def row(self, position: int) -> str:
        """Name a row as a spreadsheet shows it."""
        return row_of(self.file.name, position)

    def key(self, by: str) -> str:
        """Return the column that holds patients, or samples."""
        return self.config.patient_column if by == "patient" else self.config.sample_column

    def has_column(self, column: str, wanted_by: str) -> bool:
        """Return whether the samples table has a column; if not, that is a problem."""
        if column in self.table:
            return True
        told = Problem(wanted_by, f"{self.file.name} has no column '{column}'; {column_hint(column, self.table)}")
        if told not in self.problems:
            self.problems.append(told)
        return False


def open_reading(config: StudyConfig, base: Path) -> Reading:
    """Read the samples table of a study.

    Raises:
        ReadError: the table cannot be read.
        StudyError: it has no column of patients, or no spectra where it should hold them itself.
    """
    path = base / (config.samples or Path())
    name = config.name or base.resolve().name
    wide = _wide_samples(config, path)
    ids = (config.patient_column, config.sample_column)
    files = [
        c for m in config.modalities.values() for c in (getattr(m, "column", None), getattr(m, "axis_column", None))
    ]
    table = wide.columns if wide is not None else read_table(path, text=[*ids, *filter(None, files)])
    if config.patient_column not in table:
        hint = column_hint(config.patient_column, table)
        raise StudyError(
            f"{path} has no column '{config.patient_column}' for patients, who keep one person on one side of a "
            f"split; {hint} (`patient_column: NAME` says what it is called; an empty "
            "column counts as none)"
        )
    return Reading(config, base, name, path, table, wide)


def row_of(file: str, position: int) -> str:
    """Name a row as a spreadsheet shows it: under a header, counted from 1."""
    return f"{file} row {position + 2}"


def column_hint(column: str, table: pd.DataFrame) -> str:
    """Return what a column may be called instead."""
    guess = closest(column, [str(c) for c in table.columns])
    return f"did you mean '{guess}'?" if guess else f"found {', '.join(map(str, table.columns))}"


def told(error: PolydxError) -> list[str]:
    """Return what an error of a reader says, without the places it names."""
    return [p.what for p in error.problems] or [error.message]


def _wide_samples(config: StudyConfig, path: Path) -> WideSpectra | None:
    inside = _without_source(config.modalities)
    if not inside:
        return None
    try:
        return read_spectra_table(path)
    except PolydxError as error:
        what = f"modality '{inside[0]}' names neither `column` nor `file`, so its spectra should stand in {path}"
        raise StudyError(what, error.problems or [Problem(path.name, error.message)]) from error


def _without_source(modalities: Mapping[str, object]) -> list[str]:
    return [n for n, m in modalities.items() if isinstance(m, SpectraConfig) and m.column is None and m.file is None]
