"""The modalities of a user's own study: files a row, wide tables of spectra, and tables of clinical values."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.config import ImagesConfig, ModalityConfig, SpectraConfig, TableConfig
from polydx.datasets.axes import same_axis, usual_axis
from polydx.datasets.own_reading import Reading, column_hint, row_of, told
from polydx.errors import AxisError, PolydxError, Problem, counted
from polydx.io.files import as_stored
from polydx.io.images import count_frames
from polydx.io.spectra import read_spectra, read_spectra_table
from polydx.io.tables import read_table
from polydx.preprocessing.spectra import common_axis, resample_onto
from polydx.study import Images, Modality, RowIndex, Spectra, Table

Members = Sequence[Sequence[int]]
LEAST_SHARED = 0.5
"""Share of the usual axis a file must cover for the overlap of all files to be worth taking."""

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def read_modality(
    reading: Reading, name: str, wanted: ModalityConfig, samples: pd.DataFrame, members: Members
) -> tuple[Modality, RowIndex] | None:
    """Return a modality and the rows each sample has in it; None if it cannot be read, which is then a problem.

    Args:
        reading: the study so far; problems and notes are added to it.
        name: the modality's name.
        wanted: its section.
        samples: the samples' frame, with `patient`.
        members: for each sample, the rows of the samples table it was made of.
    """
    if isinstance(wanted, TableConfig):
        return _table(reading, name, wanted, samples, members)
    if isinstance(wanted, SpectraConfig) and wanted.column is None:
        return _wide(reading, name, wanted, samples, members)
    if not reading.has_column(wanted.column or "", f"modality '{name}'"):
        return None
    paths = _paths(reading, wanted.column or "")
    if not paths:
        reading.problems.append(Problem(f"modality '{name}'", f"column '{wanted.column}' is empty in every row"))
        return None
    if isinstance(wanted, ImagesConfig):
        return _images(reading, name, wanted, paths, members)
    return _spectra(reading, name, wanted, paths, members)


def _paths(reading: Reading, column: str) -> dict[int, Path]:
    """Return row -> file; a backslash, as Windows writes paths, is a slash."""
    cells = reading.table[column]
    return {i: as_stored(reading.folder / str(v).replace("\\", "/")) for i, v in enumerate(cells) if pd.notna(v)}


def _images(
    reading: Reading, name: str, wanted: ImagesConfig, paths: dict[int, Path], members: Members
) -> tuple[Images, RowIndex] | None:
    """Return a row for each frame of each file; what cannot be opened is a problem, and all files are tried."""
    counts: dict[int, int] = {}
    with ThreadPoolExecutor() as pool:
        for i, frames in zip(paths, pool.map(_frames, paths.values()), strict=True):
            if isinstance(frames, int):
                counts[i] = frames
            else:
                reading.problems += [Problem(f"{reading.row(i)}: {paths[i].name}", what) for what in told(frames)]
    if len(counts) < len(paths):
        return None
    several = sum(n > 1 for n in counts.values())
    if several:
        how = "a sample each" if wanted.rows == "samples" else "pooled"
        reading.notes.append(f"'{name}': {counted(several, 'file')} of several frames, {how}")
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    owned = [[starts[i] + k for i in rows if i in counts for k in range(counts[i])] for rows in members]
    files = tuple(path for i, path in paths.items() for _ in range(counts[i]))
    return Images(files, tuple(k for n in counts.values() for k in range(n)), wanted.window), RowIndex.from_lists(owned)


def _frames(path: Path) -> int | PolydxError:
    try:
        return count_frames(path)
    except PolydxError as error:
        return error


def _spectra(
    reading: Reading, name: str, wanted: SpectraConfig, paths: dict[int, Path], members: Members
) -> tuple[Spectra, RowIndex] | None:
    read = _read_files(reading, name, wanted, paths)
    if len(read) < len(paths):
        return None
    spectra = _on_one_axis(reading, name, wanted, read, paths)
    if spectra is None:
        return None
    counts = np.cumsum([0, *(len(values) for values, _ in read.values())])
    starts = dict(zip(read, counts.tolist(), strict=False))
    owned = [[starts[i] + k for i in rows if i in read for k in range(len(read[i][0]))] for rows in members]
    return spectra, RowIndex.from_lists(owned)


def _read_files(reading: Reading, name: str, wanted: SpectraConfig, paths: dict[int, Path]) -> dict[int, Pair]:
    axes: dict[int, Path] = {}
    if wanted.axis_column is not None:
        if not reading.has_column(wanted.axis_column, f"modality '{name}'"):
            return {}
        axes = _paths(reading, wanted.axis_column)
    read: dict[int, Pair] = {}
    for i, path in paths.items():
        try:
            read[i] = read_spectra(path, axis=axes.get(i))
        except PolydxError as error:
            reading.problems += [Problem(f"{reading.row(i)}: {path.name}", what) for what in told(error)]
    return read


def _on_one_axis(
    reading: Reading, name: str, wanted: SpectraConfig, read: dict[int, Pair], paths: dict[int, Path]
) -> Spectra | None:
    axes = [axis for _, axis in read.values()]
    usual = usual_axis(axes)
    odd = next((i for i, (_, axis) in read.items() if not same_axis(axis, usual)), None)
    if odd is None:
        if len({axis.tobytes() for axis in axes}) > 1:
            reading.notes.append(f"'{name}': axes that differ by rounding only were taken as one")
        return Spectra(np.vstack([values for values, _ in read.values()]).astype(np.float32), usual)
    if wanted.axis == "refuse":
        what = "is on another axis than most of the files: set `axis: overlap` to resample"
        reading.problems.append(Problem(reading.row(odd), what))
        return None
    strangers = _strangers(reading, usual, read, paths)
    if strangers:
        reading.problems += strangers
        return None
    try:
        axis = common_axis(axes)
        values = np.vstack([resample_onto(values, own, axis) for values, own in read.values()])
    except AxisError as error:
        reading.problems += [Problem(f"modality '{name}'", what) for what in told(error)]
        return None
    reading.notes.append(
        f"'{name}': {len({a.tobytes() for a in axes})} different axes, resampled to their overlap "
        f"({len(axis)} points, {axis[0]:g}-{axis[-1]:g} cm^-1)"
    )
    return Spectra(values.astype(np.float32), axis)


def _strangers(
    reading: Reading, usual: NDArray[np.float64], read: dict[int, Pair], paths: dict[int, Path]
) -> list[Problem]:
    """Name the files that cover less than half of the usual axis: the overlap of all would leave the others little."""
    span = usual[-1] - usual[0]
    found = []
    for i, (_, axis) in read.items():
        shared = min(axis[-1], usual[-1]) - max(axis[0], usual[0])
        if shared < LEAST_SHARED * span:
            what = (
                f"axis {axis[0]:g}-{axis[-1]:g} cm^-1 covers less than half of the study's usual "
                f"{usual[0]:g}-{usual[-1]:g}: leave the file out, or mend its axis"
            )
            found.append(Problem(f"{reading.row(i)}: {paths[i].name}", what))
    return found


def _wide(
    reading: Reading, name: str, wanted: SpectraConfig, samples: pd.DataFrame, members: Members
) -> tuple[Spectra, RowIndex] | None:
    """Take the rows of a wide table: the samples table itself, or another one joined by sample or patient."""
    if wanted.file is None and reading.wide is not None:
        wide, owned = reading.wide, [list(rows) for rows in members]
    else:
        path = reading.base / (wanted.file or Path())
        try:
            wide = read_spectra_table(path)
        except PolydxError as error:
            reading.problems += [Problem(f"modality '{name}': {path.name}", what) for what in told(error)]
            return None
        joined = _joined(reading, name, wanted.by, wide.columns, path.name, samples)
        if joined is None:
            return None
        owned = joined
    return Spectra(wide.values.astype(np.float32), wide.axis), RowIndex.from_lists(owned)


def _table(
    reading: Reading, name: str, wanted: TableConfig, samples: pd.DataFrame, members: Members
) -> tuple[Table, RowIndex] | None:
    frame, file = reading.table, reading.file.name
    if wanted.file is not None:
        path = reading.base / wanted.file
        try:
            frame, file = read_table(path, text=[reading.key(wanted.by), wanted.by]), path.name
        except PolydxError as error:
            reading.problems += [Problem(f"modality '{name}': {path.name}", what) for what in told(error)]
            return None
    lacking = [column for column in wanted.columns if column not in frame]
    reading.problems += [
        Problem(f"modality '{name}'", f"{file} has no column '{c}'; {column_hint(c, frame)}") for c in lacking
    ]
    if lacking:
        return None
    typed = _typed(reading, wanted, frame, file)
    if wanted.file is None:
        return Table(typed), RowIndex.from_lists([_agreeing(reading, name, typed, rows) for rows in members])
    owned = _joined(reading, name, wanted.by, frame, file, samples)
    if owned is None:
        return None
    several = next((i for i, rows in enumerate(owned) if len(rows) > 1), None)
    if several is not None:
        key = frame[_key(reading, wanted.by, frame) or ""].iloc[owned[several][0]]
        what = f"{wanted.by} '{key}' stands twice in {file}; a table needs one row each"
        reading.problems.append(Problem(f"modality '{name}'", what))
    return Table(typed), RowIndex.from_lists(owned)


def _typed(reading: Reading, wanted: TableConfig, frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """Return numbers as float64 (NaN where empty) and categories as text (None where empty)."""
    typed: dict[str, pd.Series] = {}
    for column, kind in wanted.columns.items():
        cells = frame[column]
        if kind == "category":
            typed[column] = pd.Series([None if pd.isna(v) else str(v) for v in cells], dtype=object)
            continue
        numbers = pd.to_numeric(cells, errors="coerce").astype("float64").reset_index(drop=True)
        reading.problems += [
            Problem(
                row_of(file, int(i)), f"{column} is '{cells.iloc[i]}', expected a number; leave it empty if unknown"
            )
            for i in np.flatnonzero(numbers.isna().to_numpy() & cells.notna().to_numpy())
        ]
        typed[column] = numbers
    return pd.DataFrame(typed)


def _agreeing(reading: Reading, name: str, frame: pd.DataFrame, rows: Sequence[int]) -> list[int]:
    """Return the one row that speaks for a sample made of several; rows that differ are a problem."""
    several = frame.iloc[list(rows)]
    differing = [column for column in several if several[column].nunique(dropna=False) > 1]
    if differing:
        what = f"'{differing[0]}' of '{name}' differs between the rows of this patient; give one value"
        reading.problems.append(Problem(reading.row(rows[0]), what))
    return list(rows)[:1]


def _key(reading: Reading, by: str, frame: pd.DataFrame) -> str | None:
    return next((column for column in (reading.key(by), by) if column in frame), None)


def _joined(
    reading: Reading, name: str, by: str, frame: pd.DataFrame, file: str, samples: pd.DataFrame
) -> list[list[int]] | None:
    """Return for each sample the rows of a table that carry its id, or its patient's."""
    where, key = f"modality '{name}'", _key(reading, by, frame)
    if key is None:
        what = f"{file} has no column '{reading.key(by)}' to join by; {column_hint(reading.key(by), frame)}"
        reading.problems.append(Problem(where, what))
        return None
    empty = np.flatnonzero(frame[key].isna())
    reading.problems += [Problem(row_of(file, int(i)), f"{key} is empty; it says whose row this is") for i in empty]
    rows: dict[str, list[int]] = {}
    for i, value in enumerate(frame[key]):
        if pd.notna(value):
            rows.setdefault(str(value), []).append(i)
    prefix = f"{reading.name}/"
    wanted = [str(p).removeprefix(prefix) for p in (samples["patient"] if by == "patient" else samples.index)]
    strays = set(rows) - set(wanted)
    if len(strays) == len(rows):
        what = f"no {by} of {file} (such as '{next(iter(rows), '')}') is in {reading.file.name} (such as '{wanted[0]}')"
        reading.problems.append(Problem(where, what))
        return None
    if strays:
        reading.notes.append(f"'{name}': {len(strays)} of {len(rows)} {by}s of {file} are not in {reading.file.name}")
    return [rows.get(key, []) for key in wanted]
