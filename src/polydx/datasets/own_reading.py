"""What is known while a user's own study is read: the samples table, and all that was wrong so far."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from polydx.config import SpectraConfig, StudyConfig, TaskConfig
from polydx.errors import AxisError, PolydxError, Problem, StudyError
from polydx.io.files import format_of, open_file
from polydx.io.parquet import read_parquet
from polydx.io.sheets import read_sheet
from polydx.io.spectra import WideSpectra, read_spectra_table
from polydx.io.tables import FORMATS, read_table
from polydx.io.text import plain, read_text
from polydx.params import closest

TOTALS = re.compile(r"(?:sum|summe|total|gesamt|gesamtsumme|insgesamt|mean|average|mittelwert)s?\b", re.IGNORECASE)
NUMBER = re.compile(r"0*(\d+?)(?:\.0+)?", re.ASCII)


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
        what = f"{self.file.name} has no column '{column}'; {column_hint(column, self.table)}"
        if is_empty_column(self.file, column):
            what = f"column '{column}' of {self.file.name} is there but empty: fill it in"
        told = Problem(wanted_by, what)
        if told not in self.problems:
            self.problems.append(told)
        return False


def open_reading(config: StudyConfig, base: Path) -> Reading:
    """Read the samples table of a study.

    Raises:
        ReadError: the table cannot be read.
        StudyError: it has no column of patients, or one beside `group`, or no spectra where it should hold them.
    """
    path = base / (config.samples or Path())
    name = config.name or base.resolve().name
    wide = _wide_samples(config, path)
    ids = (config.patient_column, config.sample_column)
    files = [
        c for m in config.modalities.values() for c in (getattr(m, "column", None), getattr(m, "axis_column", None))
    ]
    table = wide.columns if wide is not None else read_table(path, text=[*ids, *filter(None, files)])
    if config.group is not None:
        if config.patient_column in table:
            raise StudyError(f"{path} has a column '{config.patient_column}' of patients; leave `group` out")
        table = table.assign(patient=[f"row{i + 2}" for i in range(len(table))])  # until the images are grouped
    elif config.patient_column not in table:
        if is_empty_column(path, config.patient_column):
            raise StudyError(
                f"{path}: column '{config.patient_column}' is there but empty: fill it in; it tells patients apart, "
                "who keep one person on one side of a split"
            )
        hint = column_hint(config.patient_column, table)
        raise StudyError(
            f"{path} has no column '{config.patient_column}' for patients, who keep one person on one side of a "
            f"split; {hint} (`patient_column: NAME` says what it is called; for images of unknown patients there is "
            "`group`)"
        )
    return Reading(config, base, name, path, table, wide)


def row_of(file: str, position: int) -> str:
    """Name a row as a spreadsheet shows it: under a header, counted from 1."""
    return f"{file} row {position + 2}"


def column_hint(column: str, table: pd.DataFrame) -> str:
    """Return what a column may be called instead."""
    guess = closest(column, [str(c) for c in table.columns])
    return f"did you mean '{guess}'?" if guess else f"found {', '.join(map(str, table.columns))}"


def is_empty_column(path: Path, column: str) -> bool:
    """Return whether the header of a table names a column; the readers drop those without a single value."""
    source, head = open_file(path)
    kind = format_of(source, head, FORMATS)
    if kind == "parquet":
        names = [str(name) for name in read_parquet(source).columns]
    elif kind == "xlsx":
        names = list(read_sheet(source, None)[0][1])
    else:
        lines = (line for line in plain(read_text(source)).splitlines() if line.strip(',;\t "'))
        header = next((line for line in lines if not line.lower().startswith("sep=")), "")
        names = [name.strip().strip('"') for name in re.split(r"[,;\t]", header)]
    return column in (name.strip() for name in names)


def same_number(reading: Reading, column: str) -> list[Problem]:
    """Return ids that are one number written in several ways: spreadsheets turn '01' into '1', or '1.0'."""
    ids = reading.table[column].dropna().astype(str)
    spellings: dict[str, dict[str, int]] = {}
    for i, name in zip(np.flatnonzero(reading.table[column].notna()), ids, strict=True):
        if (number := NUMBER.fullmatch(name)) is not None:
            spellings.setdefault(number[1], {}).setdefault(name, int(i))
    found = []
    for rows in spellings.values():
        if len(rows) > 1:
            told = " and ".join(f"{name!r} (row {i + 2})" for name, i in rows.items())
            what = f"{column} {told} are one number: a spreadsheet may have dropped zeros; write one person alike "
            found.append(Problem(reading.row(list(rows.values())[1]), what + "everywhere, or name two people apart"))
    return found


def totals_rows(reading: Reading) -> list[Problem]:
    """Return rows that look like a spreadsheet's totals: patient or sample is called so, without file and label."""
    config, table = reading.config, reading.table
    used = [getattr(m, "column", None) for m in config.modalities.values()] + [t.column for t in config.tasks.values()]
    sample = table.get(config.sample_column, table[config.patient_column])
    bare = table[[c for c in dict.fromkeys(used) if c in table]].isna().all(axis=1)
    names = zip(table[config.patient_column], sample, strict=True)
    called = [next((str(n) for n in pair if pd.notna(n) and TOTALS.match(str(n))), None) for pair in names]
    return [
        Problem(reading.row(i), f"a totals row? It is called '{name}' and has no file and no label; delete it")
        for i, (name, empty) in enumerate(zip(called, bare, strict=True))
        if empty and name is not None
    ]


def label_text(value: object, classes: Sequence[str]) -> str:
    """Return a label as the classes write it: whole numbers in a column with gaps may be read as 1.0."""
    text = str(value)
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return f"{value:.0f}" if whole and text not in classes else text


def unknown_labels(
    reading: Reading, name: str, task: TaskConfig, unknown: Mapping[str, Sequence[int]]
) -> list[Problem]:
    """Return a problem for each label that is no class.

    Args:
        reading: the study so far.
        name: of the task.
        task: its section.
        unknown: label -> the rows that carry it.
    """
    found = []
    for text, rows in unknown.items():
        guess = closest(text, task.classes)
        known = f"classes are {', '.join(task.classes)}; leave the cell empty if unknown"
        many = f" in {len(rows)} rows, first row {rows[0] + 2}" if len(rows) > 1 else ""
        hint = f"did you mean '{guess}'?" if guess else known
        what = f"{task.column} is '{text}'{many}, no class of '{name}'; {hint}"
        found.append(Problem(reading.row(rows[0]), what))
    return found


def told(error: PolydxError) -> list[str]:
    """Return what an error of a reader says, without the places it names."""
    return [p.what for p in error.problems] or [error.message]


def _wide_samples(config: StudyConfig, path: Path) -> WideSpectra | None:
    inside = _without_source(config.modalities)
    if not inside:
        return None
    try:
        return read_spectra_table(path)
    except AxisError as error:
        if not any("no axis in its header" in p.what for p in error.problems):
            raise  # the spectra do stand there, with something wrong in them
        what = f"modality '{inside[0]}' names neither `column` nor `file`, so its spectra should stand in {path}"
        raise StudyError(what, error.problems or [Problem(path.name, error.message)]) from error


def _without_source(modalities: Mapping[str, object]) -> list[str]:
    return [n for n, m in modalities.items() if isinstance(m, SpectraConfig) and m.column is None and m.file is None]
