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
from polydx.datasets.own_joining import joined
from polydx.datasets.own_reading import Reading, told
from polydx.datasets.own_tables import read_own_table
from polydx.errors import AxisError, PolydxError, Problem, counted
from polydx.io.files import as_stored
from polydx.io.images import count_frames
from polydx.io.spectra import read_spectra, read_spectra_table
from polydx.preprocessing.spectra import common_axis, resample_onto
from polydx.study import Images, Modality, RowIndex, Spectra

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
        return read_own_table(reading, name, wanted, samples, members)
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
        found = joined(reading, name, wanted.by, wide.columns, path.name, samples)
        if found is None:
            return None
        owned = found
    return Spectra(wide.values.astype(np.float32), wide.axis), RowIndex.from_lists(owned)
