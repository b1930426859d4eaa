"""Wide tables of spectra: the axis in the header, one spectrum a row, ids and labels in the other columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import AxisError, ReadError, SpectrumError
from polydx.io.axis import axis_problems, intensity_problems, oriented
from polydx.io.columns import clean_numbers
from polydx.io.files import refusal
from polydx.io.headers import Header, Row
from polydx.io.source import Source
from polydx.io.text import doubtful_thousands, number, quoted
from polydx.io.typed import repeated_names, typed_frame


@dataclass(frozen=True)
class WideSpectra:
    """Spectra read from a table, with what the table says about each.

    Attributes:
        values: (n, L) intensities, float64.
        axis: (L,) cm^-1, strictly increasing.
        columns: (n, ...) all columns that are no axis point, typed as `read_table` types them.
    """

    values: NDArray[np.float64]
    axis: NDArray[np.float64]
    columns: pd.DataFrame


def wide_spectra(header: Header, rows: Iterable[Row], path: Source, word: str = "line") -> WideSpectra:
    """Return the spectra of a wide table.

    Args:
        header: which columns are axis points.
        rows: line number and cells of each row; blank rows count for nothing.
        path: names the file in errors.
        word: what a row is called in messages.

    Raises:
        ReadError: rows of another length than the header, cells that are no numbers, doubtful decimal commas.
        AxisError: an axis in another unit than cm^-1, repeated axis points or points out of order.
        SpectrumError: NaN or infinite intensities.
    """
    _refuse_other_unit(header, path)
    kept = [(i, cells) for i, cells in rows if any(cell and not cell.isspace() for cell in cells)]
    if not kept:
        raise refusal(ReadError, path, ["has a header with the axis, but no spectrum under it"])
    width = len(header.names)
    ragged = [(i, len(cells)) for i, cells in kept if len(cells) != width]
    if ragged:
        raise refusal(ReadError, path, [f"{word} {i}: {n} cells under a header of {width}" for i, n in ragged])
    repeated = repeated_names([(i + 1, header.names[i]) for i in header.others])
    if repeated:
        raise refusal(ReadError, path, repeated)
    values = _intensities(header, kept, path, word)
    columns = {header.names[i]: [cells[i].strip() for _, cells in kept] for i in header.others}
    frame = typed_frame(columns, comma=header.delimiter != ",")
    return checked_wide(header, values, frame, path, lambda row: f"{word} {kept[row][0]}")


def checked_wide(
    header: Header, values: NDArray[np.float64], columns: pd.DataFrame, path: Source, place: Callable[[int], str]
) -> WideSpectra:
    """Return wide spectra with a rising axis, or raise all that is wrong with axis and intensities.

    Args:
        header: names the axis points.
        values: (n, L) in the header's order.
        columns: (n, ...) the other columns.
        path: names the file in errors.
        place: says where row i stood.

    Raises:
        AxisError: an axis in another unit than cm^-1; see `axis_problems`.
        SpectrumError: NaN or infinite intensities.
    """
    _refuse_other_unit(header, path)
    names = [f"column '{header.names[i]}'" for i in header.points]
    axis_found = axis_problems(header.axis, lambda i: names[i])
    found = axis_found + intensity_problems(values, lambda row, point: f"{place(row)}, {names[point]}")
    if found:
        raise refusal(AxisError if axis_found else SpectrumError, path, found)
    return WideSpectra(*oriented(values, header.axis), columns)


def _refuse_other_unit(header: Header, path: Source) -> None:
    """Refuse an axis whose own names say that it is no wavenumber."""
    if header.unit is not None:
        first = quoted(header.names[header.points[0]])
        what = f"the header says that the axis is in {header.unit} ({first}); convert it to cm^-1 (Raman shift)"
        raise refusal(AxisError, path, [what])


def _intensities(header: Header, rows: Sequence[Row], path: Source, word: str) -> NDArray[np.float64]:
    """Return the (n, L) numbers of the axis columns."""
    take = _picker(header.points)
    fields = [take(cells) for _, cells in rows]
    commas = sum(any("," in field for field in row) for row in fields)
    comma = commas > 0 and commas >= sum(any("." in field for field in row) for row in fields)
    doubtful = doubtful_thousands(field for row in fields for field in row) if comma else None
    if doubtful is not None:
        what = f"'{doubtful}' may be {doubtful.replace(',', '')} or {doubtful.replace(',', '.', 1)}"
        raise refusal(ReadError, path, [f"{what}; write numbers without thousands separators"])
    values = clean_numbers(["\t".join(row) for row in fields], "\t", len(header.points), comma)
    return _careful(header, rows, comma, path, word) if values is None else values


def _picker(points: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """Return a function that takes the axis columns out of a row: by one slice where they stand together."""
    first, last = points[0], points[-1] + 1
    if last - first == len(points):
        return lambda cells: cells[first:last]
    return lambda cells: [cells[i] for i in points]


def _careful(header: Header, rows: Sequence[Row], comma: bool, path: Source, word: str) -> NDArray[np.float64]:
    """Return the numbers of rows with words such as NaN in them, or name every cell that is wrong."""
    found, values = [], np.full((len(rows), len(header.points)), np.nan)
    for k, (i, cells) in enumerate(rows):
        for point, position in enumerate(header.points):
            read = number(cells[position], comma)
            if read is None:
                where, cell = f"{word} {i}, column '{header.names[position]}'", quoted(cells[position])
                found.append(f"{where}: expected a number, found {'an empty cell' if cell == repr('') else cell}")
            else:
                values[k, point] = read
    if found:
        raise refusal(ReadError, path, found)
    return values
