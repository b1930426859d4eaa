"""Headers of wide tables: which columns are points of the axis, and which rows stand below."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ReadError
from polydx.io.axis import MIN_POINTS
from polydx.io.files import refusal
from polydx.io.source import Source
from polydx.io.text import number, plain

AXIS_NAME = re.compile(
    r"\s*[Xx]?([+-]?\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?)\s*(?:cm\s*\^?\s*\(?-1\)?|cm⁻¹|1/cm)?\s*", re.ASCII
)
OTHER_UNIT_NAME = re.compile(
    r"\s*[Xx]?(\d+(?:[.,]\d*)?)\s*[(\[]?(nm|nanomet\w+|[uµμ]m|m?eV)[)\]]?\s*", re.ASCII | re.IGNORECASE
)
COMMENTS = ("#", "%", "//", "[", "sep=")
LINES_LOOKED_AT = 200

Row: TypeAlias = tuple[int, Sequence[str]]


@dataclass(frozen=True)
class Header:
    """The header of a wide table.

    Attributes:
        names: all column names, stripped; a blank one becomes 'column N'.
        points: positions of the columns that are axis points.
        axis: (L,) the wavenumbers these columns name, in their order.
        delimiter: between the cells of the text; None = blanks.
        line: number of the header's line, from 1.
        unit: of the axis where the names say another one than cm^-1 ('nm'), else None.
    """

    names: tuple[str, ...]
    points: tuple[int, ...]
    axis: NDArray[np.float64]
    delimiter: str | None = ","
    line: int = 1
    unit: str | None = None

    @property
    def others(self) -> tuple[int, ...]:
        """Positions of the columns that are no axis points."""
        points = set(self.points)
        return tuple(i for i in range(len(self.names)) if i not in points)


def axis_point(name: str) -> float | None:
    """Return the wavenumber a column name spells out ('400', 'X400.5', '400,5 cm-1'), else None."""
    match = AXIS_NAME.fullmatch(plain(name))
    return float(match[1].replace(",", ".")) if match else None


def header_of(names: Sequence[str], delimiter: str | None = ",", line: int = 1) -> Header | None:
    """Return the header if at least eight of the names are wavenumbers, or numbers in another unit, else None."""
    points = {i: p for i, p in enumerate(map(axis_point, names)) if p is not None}
    unit = None
    if len(points) < MIN_POINTS:
        others = {i: match for i, name in enumerate(names) if (match := OTHER_UNIT_NAME.fullmatch(plain(name)))}
        if len(others) < MIN_POINTS:
            return None
        points = {i: float(match[1].replace(",", ".")) for i, match in others.items()}
        unit = next(iter(others.values()))[2]
    filled = tuple(name.strip() or f"column {i}" for i, name in enumerate(names, 1))
    return Header(filled, tuple(points), np.array(list(points.values())), delimiter, line, unit)


def wide_header(text: str) -> Header | None:
    """Return the header of a text in wide layout, or None if the text is laid out in columns.

    Numbers alone in the first line are a header if they run in one direction while the first column does not.
    """
    lines = enumerate(text.split("\n", LINES_LOOKED_AT)[:LINES_LOOKED_AT], 1)
    kept = ((i, plain(line)) for i, line in lines if line.strip() and not line.lstrip().startswith(COMMENTS))
    number_of_line, first = next(kept, (1, ""))
    delimiter = next((d for d in ("\t", ";", ",") if d in first), None)
    header = header_of(_cells(first, delimiter), delimiter, number_of_line)
    if header is None or header.others:
        return header
    column = [number(_cells(line, delimiter)[0], comma=delimiter != "," and "," in line) for _, line in kept]
    down = np.array([header.axis[0], *column], dtype=float)
    runs_down = len(down) >= MIN_POINTS and _runs_one_way(down)
    return header if _runs_one_way(header.axis) and not runs_down else None


def _runs_one_way(numbers: NDArray[np.float64]) -> bool:
    steps = np.diff(numbers)
    return bool(np.all(steps > 0) or np.all(steps < 0))


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter)) if '"' in line else line.split(delimiter)


def wide_rows(text: str, header: Header, path: Source) -> Iterator[Row]:
    """Yield the rows under the header, each with its line number.

    Raises:
        ReadError: quotes that do not close.
    """
    below = "".join(plain(text).split("\n", header.line)[header.line :])
    if header.delimiter is None:
        yield from ((i, line.split()) for i, line in enumerate(below.split("\n"), header.line + 1))
        return
    reader = csv.reader(io.StringIO(below), delimiter=header.delimiter, strict=True)
    try:
        for row in reader:
            yield header.line + reader.line_num, row
    except csv.Error as error:
        what = f"line {header.line + reader.line_num}: broken quotes or an endless cell ({error})"
        raise refusal(ReadError, path, [what]) from error
