"""A user's own study: a samples table that names files, modalities and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.config import ImagesConfig, SpectraConfig, StudyConfig, TableConfig, TaskConfig
from polydx.errors import AxisError, PolydxError, Problem, StudyError, counted
from polydx.io.spectra import read_spectra
from polydx.io.tables import read_table
from polydx.params import closest
from polydx.preprocessing.spectra import common_axis, resample_onto
from polydx.study import UNLABELLED, Images, Modality, RowIndex, Spectra, Study, Table, Task


@dataclass
class _Reading:
    """What is known while a study is read: the table, where it lies, and all that was wrong so far."""

    config: StudyConfig
    name: str
    file: Path
    table: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, position: int) -> str:
        """Name a row as a spreadsheet shows it."""
        return f"{self.file.name} row {position + 2}"

    @property
    def folder(self) -> Path:
        """Where paths in the samples table start."""
        return self.file.parent


def load_own(config: StudyConfig, base: Path) -> Study:
    """Return the study of a `study:` section with `samples:`.

    Args:
        config: the section.
        base: folder of the YAML; relative paths start there. Paths inside the table start at the table's folder.

    Raises:
        StudyError: listing every row, column and file that is wrong.
    """
    reading = _open(config, base)
    samples, members = _samples(reading)
    labels = _labels(reading, samples, members)
    modalities: dict[str, Modality] = {}
    rows: dict[str, RowIndex] = {}
    for name, wanted in config.modalities.items():
        found = _modality(reading, name, wanted, samples, members)
        if found is not None:
            modalities[name], rows[name] = found
    if reading.problems:
        raise StudyError(
            f"{counted(len(reading.problems), 'problem')} in study '{study_name(config, base)}'", reading.problems
        )
    return Study(
        name=reading.name,
        samples=samples,
        modalities=modalities,
        rows=rows,
        tasks={name: _task(task) for name, task in config.tasks.items()},
        labels=labels,
        unit=config.unit,
        notes=tuple(reading.notes),
    )


def study_name(config: StudyConfig, base: Path) -> str:
    """Return the study's name: as given, else the name of the folder it lies in."""
    return config.name or base.resolve().name


def _open(config: StudyConfig, base: Path) -> _Reading:
    path = base / (config.samples or Path())
    table = read_table(path)
    if "patient" not in table:
        guess = closest("patient", [str(c) for c in table.columns])
        hint = f"rename '{guess}' to 'patient'?" if guess else f"found {', '.join(map(str, table.columns))}"
        raise StudyError(f"{path} has no column 'patient', which keeps one person on one side of a split; {hint}")
    return _Reading(config, study_name(config, base), path, table)


def _samples(reading: _Reading) -> tuple[pd.DataFrame, list[list[int]]]:
    """Return the samples' frame, and for each sample the rows of the table it was made of."""
    table = reading.table
    empty = table["patient"].isna()
    reading.problems += [
        Problem(reading.row(int(i)), "patient is empty; every sample needs a patient") for i in np.flatnonzero(empty)
    ]
    table = table.assign(patient=[f"{reading.name}/{p}" for p in table["patient"]])
    if reading.config.unit == "patient":
        groups = table.groupby("patient", sort=True).indices
        frame = table.drop_duplicates("patient").set_index("patient", drop=False).rename_axis("sample").sort_index()
        members = [list(map(int, groups[patient])) for patient in frame.index]
    else:
        ids = _sample_ids(reading)
        frame = table.assign(sample=ids).set_index("sample")
        members = [[i] for i in range(len(table))]
    used = {getattr(m, "column", None) for m in reading.config.modalities.values()}
    used |= {task.column for task in reading.config.tasks.values()}
    kept = [c for c in frame.columns if c not in used]
    frame = frame[kept].assign(patient=frame["patient"].astype(object))
    return frame.set_axis(frame.index.astype(object).rename("sample"), axis=0), members


def _sample_ids(reading: _Reading) -> list[str]:
    """Return unique ids: the column `sample`, else the row's file, else the row's number."""
    table = reading.table
    if "sample" in table:
        for i in np.flatnonzero(table["sample"].isna()):
            reading.problems.append(Problem(reading.row(int(i)), "sample is empty"))
        ids = table["sample"].astype(str)
        for i in np.flatnonzero(ids.duplicated() & table["sample"].notna()):
            reading.problems.append(
                Problem(reading.row(int(i)), f"sample '{ids.iloc[i]}' stands twice; ids must be unique")
            )
        return [str(i) for i in ids]
    columns = [c for m in reading.config.modalities.values() if (c := getattr(m, "column", None)) in table]
    if columns and table[columns[0]].notna().all() and table[columns[0]].is_unique:
        return [str(v) for v in table[columns[0]]]
    return [f"row{i + 2}" for i in range(len(table))]


def _labels(reading: _Reading, samples: pd.DataFrame, members: Sequence[Sequence[int]]) -> pd.DataFrame:
    labels = pd.DataFrame(index=samples.index)
    for name, task in reading.config.tasks.items():
        if not _has_column(reading, task.column, f"task '{name}'"):
            continue
        codes = _codes(reading, name, task)
        owned = [_agreed(reading, name, codes, rows) for rows in members]
        column = pd.Series(owned, index=samples.index, dtype=np.int64)
        if task.level == "patient":
            column = _fill_patient(column, samples)
        labels[name] = column
    return labels


def _codes(reading: _Reading, name: str, task: TaskConfig) -> NDArray[np.int64]:
    """Return (rows,) class codes; an unknown class is a problem, an empty cell is no label."""
    codes = np.full(len(reading.table), UNLABELLED)
    for i, value in enumerate(reading.table[task.column]):
        if pd.isna(value):
            continue
        text = str(value)
        if text in task.classes:
            codes[i] = task.classes.index(text)
            continue
        guess = closest(text, task.classes)
        hint = (
            f"did you mean '{guess}'?"
            if guess
            else f"classes are {', '.join(task.classes)}; leave the cell empty if unknown"
        )
        reading.problems.append(Problem(reading.row(i), f"{task.column} is '{text}', no class of '{name}'; {hint}"))
    return codes


def _agreed(reading: _Reading, task: str, codes: NDArray[np.int64], rows: Sequence[int]) -> int:
    known = sorted({int(codes[i]) for i in rows if codes[i] >= 0})
    if len(known) > 1:
        classes = reading.config.tasks[task].classes
        told = ", ".join(classes[c] for c in known)
        reading.problems.append(
            Problem(reading.row(rows[0]), f"this patient has {len(known)} answers to '{task}': {told}")
        )
    return known[0] if known else UNLABELLED


def _fill_patient(codes: pd.Series, samples: pd.DataFrame) -> pd.Series:
    """Give all samples of a patient the label one of them carries (two different ones are refused by Study)."""
    known = codes[codes >= 0].groupby(samples["patient"]).first()
    filled = samples["patient"].map(known).fillna(UNLABELLED).astype(np.int64)
    return codes.where(codes >= 0, filled)


def _modality(
    reading: _Reading,
    name: str,
    wanted: SpectraConfig | ImagesConfig | TableConfig,
    samples: pd.DataFrame,
    members: Sequence[Sequence[int]],
) -> tuple[Modality, RowIndex] | None:
    if isinstance(wanted, TableConfig):
        return _table(reading, name, wanted, samples, members)
    if not _has_column(reading, wanted.column, f"modality '{name}'"):
        return None
    cells = reading.table[wanted.column]
    paths = {i: reading.folder / str(v) for i, v in enumerate(cells) if pd.notna(v)}
    if not paths:
        reading.problems.append(Problem(f"modality '{name}'", f"column '{wanted.column}' is empty in every row"))
        return None
    if isinstance(wanted, ImagesConfig):
        order = [[i for i in rows if i in paths] for rows in members]
        numbering = {i: n for n, i in enumerate(paths)}
        return Images(tuple(paths.values())), RowIndex.from_lists([[numbering[i] for i in rows] for rows in order])
    return _spectra(reading, name, wanted, paths, members)


def _spectra(
    reading: _Reading, name: str, wanted: SpectraConfig, paths: dict[int, Path], members: Sequence[Sequence[int]]
) -> tuple[Spectra, RowIndex] | None:
    read: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for i, path in paths.items():
        try:
            read[i] = read_spectra(path)
        except PolydxError as error:
            reading.problems += [Problem(f"{reading.row(i)}: {path.name}", p) for p in _told(error)]
    if not read or len(read) < len(paths):
        return None
    try:
        spectra = _on_one_axis(reading, name, wanted, read)
    except AxisError as error:
        reading.problems += [Problem(f"modality '{name}'", p) for p in _told(error)]
        return None
    starts = dict(zip(read, np.concatenate([[0], np.cumsum([len(v) for v, _ in read.values()])]), strict=False))
    owned = [[int(starts[i]) + k for i in rows if i in read for k in range(len(read[i][0]))] for rows in members]
    return spectra, RowIndex.from_lists(owned)


def _on_one_axis(
    reading: _Reading,
    name: str,
    wanted: SpectraConfig,
    read: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> Spectra:
    axes = [axis for _, axis in read.values()]
    if all(np.array_equal(axis, axes[0]) for axis in axes):
        return Spectra(np.vstack([v for v, _ in read.values()]).astype(np.float32), axes[0])
    if wanted.axis == "refuse":
        odd = next(i for i, (_, axis) in read.items() if not np.array_equal(axis, axes[0]))
        raise AxisError(
            f"{reading.row(odd)} is on another axis than the first spectrum: set `axis: overlap` to resample"
        )
    axis = common_axis(axes)
    values = np.vstack([resample_onto(v, own, axis) for v, own in read.values()])
    reading.notes.append(
        f"'{name}': {len({a.tobytes() for a in axes})} different axes, resampled to their overlap "
        f"({len(axis)} points, {axis[0]:g}-{axis[-1]:g} cm^-1)"
    )
    return Spectra(values.astype(np.float32), axis)


def _table(
    reading: _Reading, name: str, wanted: TableConfig, samples: pd.DataFrame, members: Sequence[Sequence[int]]
) -> tuple[Table, RowIndex] | None:
    own = wanted.file is None
    frame = reading.table if wanted.file is None else read_table(reading.folder / wanted.file)
    lacking = [c for c in (wanted.by, *wanted.columns) if c not in frame]
    if own and wanted.by == "sample":
        lacking = [c for c in wanted.columns if c not in frame]
    if lacking:
        told = f"has no column '{lacking[0]}'; found {', '.join(map(str, frame.columns))}"
        reading.problems.append(Problem(f"modality '{name}'", told))
        return None
    kept = frame[list(wanted.columns)]
    if own:
        return Table(kept), RowIndex.from_lists([list(rows)[:1] for rows in members])
    keys = frame[wanted.by].astype(str)
    if keys.duplicated().any():
        told = f"{wanted.by} '{keys[keys.duplicated()].iloc[0]}' stands twice in {wanted.file}"
        reading.problems.append(Problem(f"modality '{name}'", told))
        return None
    position = {key: i for i, key in enumerate(keys)}
    prefix = f"{reading.name}/"
    wanted_keys = samples["patient"].str.removeprefix(prefix) if wanted.by == "patient" else samples.index
    return Table(kept), RowIndex.from_lists([[position[k]] if k in position else [] for k in map(str, wanted_keys)])


def _has_column(reading: _Reading, column: str, wanted_by: str) -> bool:
    if column in reading.table:
        return True
    guess = closest(column, [str(c) for c in reading.table.columns])
    hint = f"did you mean '{guess}'?" if guess else f"found {', '.join(map(str, reading.table.columns))}"
    told = Problem(wanted_by, f"{reading.file.name} has no column '{column}'; {hint}")
    if told not in reading.problems:
        reading.problems.append(told)
    return False


def _told(error: PolydxError) -> list[str]:
    return [p.what for p in error.problems] or [error.message]


def _task(config: TaskConfig) -> Task:
    return Task(tuple(config.classes), config.level, config.parent, config.ordinal, config.positive)
