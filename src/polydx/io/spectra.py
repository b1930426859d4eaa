"""Read spectra: one call for text, tables and arrays, with the axis in cm^-1 and rising.

Shapes: `n` spectra, `L` points of the axis. What a file holds is checked here, at the edge, so that nothing
behind it has to; constant or saturated spectra are data, and pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from polydx.errors import AxisError, PolydxError, ReadError, SpectrumError
from polydx.io.arrays import as_rows, read_hdf5, read_npy, sibling_axis
from polydx.io.axis import axis_problems, intensity_problems, oriented
from polydx.io.columns import Block, read_block
from polydx.io.files import Format, format_of, open_file, refusal
from polydx.io.headers import header_of, wide_header, wide_rows
from polydx.io.parquet import read_parquet
from polydx.io.sheets import read_sheet
from polydx.io.source import Source
from polydx.io.text import quoted, read_text
from polydx.io.wide import WideSpectra, checked_wide, wide_spectra

__all__ = ["WideSpectra", "read_axis", "read_spectra", "read_spectra_table"]

Floats: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[Floats, Floats]

FORMATS: tuple[Format, ...] = ("text", "xlsx", "parquet", "npy", "hdf5")
TABLES: tuple[Format, ...] = ("text", "xlsx", "parquet")


def read_spectra(path: str | Source, axis: str | Path | ArrayLike | None = None) -> Pair:
    """Read the spectra of one file.

    Text in columns (wavenumber, then one or more intensities) with any usual delimiter, decimal mark, header
    and encoding; wide tables (CSV, TSV, XLSX, Parquet) with the axis in the header; NumPy and HDF5 arrays.

    Args:
        path: the file.
        axis: (L,) wavenumbers, or a file that holds them, for a file that has none: `.npy` (without it, the axis
            is sought beside the file) or text whose every row is one spectrum.

    Returns:
        values (n, L) float64, and axis (L,) float64 in cm^-1, strictly increasing; a falling axis is turned
        round together with its values.

    Raises:
        ReadError: the file is missing, foreign, broken, or some of its text is no number; lines are named.
        AxisError: no axis, or repeated, turning, non-finite or fewer than eight points.
        SpectrumError: NaN or infinite intensities.
    """
    path, head = open_file(path)
    kind = format_of(path, head, FORMATS)
    if axis is not None:
        return _with_axis(path, kind, axis)
    if kind == "npy":
        values, points = read_npy(path), read_axis(sibling_axis(path))
        return checked_spectra(as_rows(values, len(points), path), points, path)
    if kind == "hdf5":
        values, points = read_hdf5(path)
        return checked_spectra(as_rows(values, points.size, path), points.ravel(), path)
    if kind == "text":
        return _from_text(read_text(path), path)
    if kind == "xlsx":
        return _from_sheet(path)
    table = read_spectra_table(path)
    return table.values, table.axis


def read_spectra_table(path: str | Source, sheet: str | int | None = None) -> WideSpectra:
    """Read a wide table of spectra, and keep its ids and labels.

    Args:
        path: CSV, TSV, XLSX or Parquet. At least eight column names are wavenumbers ('400', 'X400.5', '400 cm-1').
        sheet: name or position of the sheet of an XLSX file (default: the first).

    Returns:
        values (n, L), axis (L,) strictly increasing, and the other columns.

    Raises:
        ReadError, AxisError, SpectrumError: as `read_spectra`.
    """
    path, head = open_file(path)
    kind = format_of(path, head, TABLES)
    if sheet is not None and kind != "xlsx":
        raise refusal(ReadError, path, ["has no sheets; `sheet` is for XLSX files"])
    if kind == "parquet":
        return wide_of_frame(read_parquet(path), path)
    if kind == "text":
        text = read_text(path)
        header = wide_header(text)
        if header is None:
            raise _no_axis_in_header(path, text.split("\n", 1)[0])
        return wide_spectra(header, wide_rows(text, header, path), path)
    rows = read_sheet(path, sheet)
    header = header_of(rows[0][1], delimiter=None, line=rows[0][0])
    if header is None:
        raise _no_axis_in_header(path, ", ".join(rows[0][1]))
    return wide_spectra(header, rows[1:], path, word="row")


def read_axis(path: str | Source) -> Floats:
    """Read an axis that stands alone in a file: one column or one row of text, or a `.npy` array.

    Returns:
        (L,) float64 in cm^-1, in the file's own order, so that it still fits the spectra it came with.

    Raises:
        ReadError: unreadable, or more than an axis in it.
        AxisError: repeated, turning, non-finite or fewer than eight points.
    """
    path, head = open_file(path)
    if format_of(path, head, ("text", "npy")) == "npy":
        numbers = read_npy(path)
    else:
        numbers = read_block(read_text(path), path, least=1).values
    if numbers.size != max(numbers.shape, default=0):
        raise refusal(
            ReadError, path, [f"holds {numbers.shape[0]} x {numbers.shape[-1]} numbers, expected an axis alone"]
        )
    return _checked_axis(numbers.ravel(), path)


def _with_axis(path: Source, kind: Format, axis: str | Path | ArrayLike) -> Pair:
    """Read a file of rows of intensities and no axis of its own."""
    if kind not in ("npy", "text"):
        raise refusal(AxisError, path, ["has an axis of its own; leave `axis` out"])
    values = read_npy(path) if kind == "npy" else read_block(read_text(path), path, least=1).values
    points = read_axis(axis) if isinstance(axis, str | Path) else _checked_axis(np.array(axis, dtype=float), path)
    if kind == "text" and values.shape[1] == 1:
        values = values.T
    return checked_spectra(as_rows(values, len(points), path), points, path)


def _checked_axis(axis: Floats, path: Source) -> Floats:
    if axis.ndim != 1:
        raise refusal(AxisError, path, [f"the axis has shape {axis.shape}; expected one dimension"])
    found = axis_problems(axis, lambda i: f"axis point {i + 1}")
    if found:
        raise refusal(AxisError, path, found)
    return axis


def checked_spectra(values: Floats, axis: Floats, path: Source) -> Pair:
    """Return spectra (n, L) with a rising axis (L,), or raise all that is wrong with them."""
    axis_found = axis_problems(axis, lambda i: f"axis point {i + 1}")
    found = axis_found + intensity_problems(values, lambda row, point: f"spectrum {row + 1}, point {point + 1}")
    if found:
        raise refusal(AxisError if axis_found else SpectrumError, path, found)
    return oriented(values, axis)


def _from_text(text: str, path: Source, word: str = "line") -> Pair:
    header = wide_header(text)
    if header is not None:
        table = wide_spectra(header, wide_rows(text, header, path), path)
        return table.values, table.axis
    return _from_block(read_block(text, path, word=word), path, word)


def _from_block(block: Block, path: Source, word: str) -> Pair:
    """Take the first column as axis, the others as spectra."""
    axis, values = block.values[:, 0], block.values[:, 1:].T

    def place(row: int, point: int) -> str:
        spectrum = f", spectrum {row + 1}" if len(values) > 1 else ""
        return f"{word} {block.lines[point]}{spectrum}"

    axis_found = axis_problems(axis, lambda i: f"{word} {block.lines[i]}")
    if axis_found and len(values) >= len(axis):  # wider than long: rows of intensities, not columns
        what = "rows seem to be spectra, and neither header nor first column an axis; give `axis=`"
        raise refusal(AxisError, path, [what])
    found = axis_found + intensity_problems(values, place)
    if found:
        raise refusal(AxisError if axis_found else SpectrumError, path, found)
    return oriented(values, axis)


def _from_sheet(path: Source) -> Pair:
    rows = read_sheet(path)
    header = header_of(rows[0][1], delimiter=None, line=rows[0][0])
    if header is not None:
        table = wide_spectra(header, rows[1:], path, word="row")
        return table.values, table.axis
    cells = dict(rows)
    lines = ["\t".join(cells.get(i, ())) for i in range(1, rows[-1][0] + 1)]
    return _from_block(read_block("\n".join(lines), path, word="row"), path, "row")


def wide_of_frame(frame: pd.DataFrame, path: Source) -> WideSpectra:
    """Return the spectra of a wide table with typed columns, whose names hold the axis."""
    header = header_of([str(name) for name in frame.columns])
    if header is None:
        raise _no_axis_in_header(path, ", ".join(map(str, frame.columns)))
    if len(frame) == 0:
        raise refusal(ReadError, path, ["has a header with the axis, but no spectrum under it"])
    points = frame.iloc[:, list(header.points)]
    words = [
        f"column '{name}' holds {kind}, expected numbers"
        for name, kind in points.dtypes.items()
        if kind.kind not in "fiu"
    ]
    if words:
        raise refusal(ReadError, path, words)
    values = points.to_numpy(dtype=np.float64)
    return checked_wide(header, values, frame.iloc[:, list(header.others)], path, lambda row: f"row {row + 1}")


def _no_axis_in_header(path: Source, found: str) -> PolydxError:
    expected = "expected eight or more names such as '400' or '400.5 cm-1'"
    return refusal(AxisError, path, [f"has no axis in its header; {expected}, found {quoted(found)}"])
