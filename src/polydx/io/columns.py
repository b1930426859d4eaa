"""Columns of numbers in text: the axis first, then one spectrum a column, under any header.

A clean block goes through NumPy's reader; only a block that is not clean is looked at
line by line, to say which lines are wrong and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from polydx.errors import AxisError, ReadError
from polydx.io.files import refusal
from polydx.io.source import Source
from polydx.io.text import doubtful_thousands, number, plain, quoted

DELIMITERS: tuple[str | None, ...] = (";", "\t", ",", None)
CLEAN = re.compile(r"[0-9+\-.eE \t\n,;]*")
CONFIRMING_LINES = 2
MOST_BAD = 1000
"""Lines found wrong after which no more are looked at: a file of millions of them would keep its reader for minutes."""
LONGEST_HEADER = 100_000
"""Lines within which the numbers must begin."""
COUNTS = {1: "one number", 2: "two numbers", 3: "three numbers"}
# Not after a number: '785 nm' is a laser, '20 µm' a spot.
OTHER_UNIT = re.compile(r"(?<![A-Za-z\d])(?<!\d )(nm|nanomet\w+|[uµμ]m|eV)(?![A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a line of numbers is written: delimiter (None = blanks) and number of columns."""

    delimiter: str | None
    columns: int


@dataclass(frozen=True)
class Block:
    """A block of numbers and where it stood.

    Attributes:
        values: (rows, columns).
        lines: (rows,) line number of each row, from 1.
    """

    values: NDArray[np.float64]
    lines: NDArray[np.int64]


def read_block(text: str, path: Source, least: int = 2, word: str = "line") -> Block:
    """Return the numbers of a text, whatever its delimiter, decimal mark and header.

    Args:
        text: the file's text.
        path: names the file in errors.
        least: columns there must be; 1 for a file that holds an axis alone.
        word: what a line of the text is called in messages ('row' for a sheet).

    Raises:
        ReadError: no numbers, fewer columns than `least`, a line that differs from the others, mixed or doubtful
            decimal commas. Every bad line is named.
        AxisError: the header says that the first column is in nm or eV.
    """
    lines = plain(text).split("\n")
    start, layout = _find_block(lines, path, least)
    numbered = [(i, line) for i, line in enumerate(lines[start:], start + 1) if line and not line.isspace()]
    header, body = [line for line in lines[:start] if line.strip()], [line for _, line in numbered]
    comma = layout.delimiter != "," and _decimal_comma(body)
    values = clean_numbers(body, layout.delimiter, layout.columns, comma)
    if values is None:
        values = _careful(numbered, layout, comma, path, word)
    _refuse_doubt(header, body, layout, comma, path)
    _refuse_other_unit(header, path)
    return Block(values, np.array([i for i, _ in numbered], dtype=np.int64))


def split(line: str, delimiter: str | None) -> list[str]:
    """Return the fields of a line; delimiters and blanks at its end count for nothing."""
    return line.split() if delimiter is None else line.rstrip(delimiter + " \t").split(delimiter)


def layout_of(line: str) -> Layout | None:
    """Return the layout of a line if it holds nothing but numbers, else None."""
    if line.lstrip()[:1] not in tuple("+-.0123456789"):
        return None
    for delimiter in DELIMITERS:
        if delimiter is not None and delimiter not in line:
            continue
        fields = split(line, delimiter)
        # Blanks would close the gap that an empty cell leaves between tabs, and shift what follows.
        shifted = delimiter is None and "\t\t" in line.strip() and len(fields) > 2
        if not shifted and _all_numbers(fields, delimiter):
            return Layout(delimiter, len(fields))
    return None


def _all_numbers(fields: Sequence[str], delimiter: str | None) -> bool:
    return all(number(f) is not None or (delimiter != "," and number(f, comma=True) is not None) for f in fields)


def _find_block(lines: Sequence[str], path: Source, least: int) -> tuple[int, Layout]:
    """Return the position of the first line of numbers and its layout."""
    found = _start(lines, least)
    if found is not None:
        return found
    if least > 1 and _start(lines, 1) is not None:
        what = "holds one column of numbers; expected two or more: wavenumber, intensity"
        raise refusal(ReadError, path, [what])
    first = next(line for line in lines if line.strip())
    what = f"holds no numbers in columns; expected lines such as '400.5 1234.5', found {quoted(first)}"
    raise refusal(ReadError, path, [what])


def _start(lines: Sequence[str], least: int) -> tuple[int, Layout] | None:
    candidates: list[tuple[int, Layout]] = []
    seen = 0
    for i, line in enumerate(lines):
        if len(candidates) > MOST_BAD or (not candidates and i >= LONGEST_HEADER):
            break
        seen, layout = i + 1, layout_of(line)
        if layout is None or layout.columns < least:
            continue
        candidates.append((i, layout))
        if all(layout_of(follower) == layout for follower in _next_lines(lines, i)):
            return _with_stragglers(lines, candidates, i, layout), layout
    if not candidates:
        return None
    # No three good lines in a row: still a measurement, with many bad lines, if half of it is numbers.
    i, layout = candidates[0]
    rest = [line for line in lines[i:seen] if line.strip()]
    return (i, layout) if 2 * len(candidates) >= len(rest) else None


def _next_lines(lines: Sequence[str], i: int) -> Iterator[str]:
    filled = (lines[k] for k in range(i + 1, len(lines)) if lines[k].strip())
    return islice(filled, CONFIRMING_LINES)


def _with_stragglers(lines: Sequence[str], candidates: list[tuple[int, Layout]], start: int, layout: Layout) -> int:
    """Return the start of the block, moved up over lines that are data gone wrong rather than header.

    Without this a bad line near the top would turn itself and the good ones above it into header.
    """
    start = next(i for i, other in candidates if other == layout or i == start)
    for i in range(start - 1, -1, -1):
        if not lines[i].strip():
            continue
        fields = split(lines[i], layout.delimiter)
        broken = len(fields) == layout.columns and number(fields[0], comma="," in fields[0]) is not None
        if not broken and layout_of(lines[i]) is None:
            break
        start = i
    return start


def _decimal_comma(body: Sequence[str]) -> bool:
    commas = sum("," in line for line in body)
    return commas > 0 and commas >= sum("." in line for line in body)


def clean_numbers(lines: Sequence[str], delimiter: str | None, columns: int, comma: bool) -> NDArray[np.float64] | None:
    """Return the (rows, columns) numbers of clean lines, or None if a closer look is needed.

    NumPy's own reader is safe once digits, signs, exponents, marks and blanks are all there is, and five times
    as fast as a loop.
    """
    whole = "\n".join(lines)
    if not CLEAN.fullmatch(whole) or (comma and "." in whole):
        return None
    if comma:
        lines = whole.replace(",", ".").split("\n")
    try:
        numbers = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        return None
    return numbers if numbers.shape == (len(lines), columns) else None


def _careful(
    numbered: Sequence[tuple[int, str]], layout: Layout, comma: bool, path: Source, word: str
) -> NDArray[np.float64]:
    """Return the numbers of a block with words such as NaN in it, or name every line that is wrong."""
    rows, found = [], []
    for i, line in numbered:
        fields = split(line, layout.delimiter)
        row = [number(field, comma) for field in fields]
        if len(row) != layout.columns or None in row:
            expected = COUNTS.get(layout.columns, f"{layout.columns} numbers")
            found.append(f"{word} {i}: expected {expected}, found {quoted(line)}{_hint(fields, layout, comma)}")
            if len(found) == MOST_BAD:
                raise refusal(ReadError, path, [f"{MOST_BAD} {word}s up to {word} {i} are wrong", *found])
        rows.append(row)
    if found:
        raise refusal(ReadError, path, found)
    return np.array(rows, dtype=np.float64)


def _hint(fields: Sequence[str], layout: Layout, comma: bool) -> str:
    if any(("." in f and "," in f) or f.count(".") > 1 or f.count(",") > 1 for f in fields):
        return "; write numbers without thousands separators"
    if layout.delimiter != "," and any(("." if comma else ",") in f for f in fields):
        return "; the decimal mark of the other lines is a " + ("comma" if comma else "point")
    return ""


def _refuse_doubt(header: Sequence[str], body: Sequence[str], layout: Layout, comma: bool, path: Source) -> None:
    """Refuse commas that may be either of two things, for a wrong guess would change every number."""
    if comma:
        doubtful = doubtful_thousands(field for line in body for field in split(line, layout.delimiter))
        if doubtful is not None:
            what = f"'{doubtful}' may be {doubtful.replace(',', '')} or {doubtful.replace(',', '.', 1)}"
            raise refusal(ReadError, path, [f"{what}; write numbers without thousands separators"])
    if layout.delimiter == "," and layout.columns in (3, 4):
        named = bool(header) and len(split(header[-1], ",")) == layout.columns
        if not named and not re.search(r"[.eE]", "\n".join(body)):
            what = (
                f"{quoted(body[0])} may be {layout.columns} whole numbers, or two with decimal commas; name the "
                "columns in a first line, or write another delimiter"
            )
            raise refusal(ReadError, path, [what])


def _refuse_other_unit(header: Sequence[str], path: Source) -> None:
    """Refuse an axis whose own header says that it is no wavenumber; nothing else would notice."""
    units = [line for line in header[:-1] if line.lstrip("# ").lower().startswith("axisunit") or line.strip() == "NM"]
    for line in [*header[-1:], *units]:
        unit = OTHER_UNIT.search(line)
        if unit and "cm" not in line.lower():
            what = f"the header says that the axis is in {unit[0]} ({quoted(line)}); convert it to cm^-1 (Raman shift)"
            raise refusal(AxisError, path, [what])
