"""Excel sheets as rows of text: values rather than formulas; errors and unsaved results refused by cell."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from itertools import chain
from typing import Any, TypeAlias

from polydx.errors import ReadError
from polydx.io.files import MOST_BYTES, refusal
from polydx.io.source import Source, handle

Row: TypeAlias = tuple[int, Sequence[str]]

FORMULA_TAGS = (b"<f>", b"<f ", b"<f/>")


def read_sheet(path: Source, sheet: str | int | None = None) -> list[Row]:
    """Return the rows of one sheet that are not empty, each with its number from 1, all of one length.

    Cells are text: numbers as Python writes them, whole numbers without '.0', dates as 'YYYY-MM-DD' (with
    'HH:MM:SS' if they have a time), truth values as TRUE and FALSE, empty cells as ''.

    Args:
        path: an XLSX or XLSM file.
        sheet: name, or position from 0; default the first.

    Raises:
        ReadError: a broken or too large workbook, no such sheet (those there are listed), an empty sheet, cells
            with errors such as #N/A, formulas whose result was never saved.
    """
    has_formulas = _survey(path)
    with _workbook(path, results=True) as book:
        titles = [worksheet.title for worksheet in book.worksheets]
        title = _title(titles, sheet, path)
        grid = _grid(book[title])
    found = [f"cell {c.coordinate}: holds the error {c.value}" for c in chain(*grid) if c.data_type == "e"]
    found += _unsaved(path, title, grid) if has_formulas else []
    if found:
        raise refusal(ReadError, path, [f"{what}; mend it in the sheet '{title}'" for what in found])
    rows = [(i, [cell_text(cell.value) for cell in cells]) for i, cells in enumerate(grid, 1)]
    kept = [(i, cells) for i, cells in rows if any(cells)]
    if not kept:
        others = f"; the sheets are: {', '.join(titles)}" if len(titles) > 1 else ""
        raise refusal(ReadError, path, [f"sheet '{title}' is empty{others}"])
    width = max(len(cells) for _, cells in kept)
    return [(i, cells + [""] * (width - len(cells))) for i, cells in kept]


def cell_text(value: Any) -> str:
    """Return the text of a cell's value; numbers keep every digit they have."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).strip()


def _survey(path: Source) -> bool:
    """Return whether any sheet has formulas, after a look at the size of what is packed."""
    with _broken_by_name(path), zipfile.ZipFile(handle(path)) as archive:
        packed = archive.infolist()
        size = sum(entry.file_size for entry in packed)
        if size > MOST_BYTES:
            limit = MOST_BYTES / 1024**3
            raise refusal(ReadError, path, [f"unpacks to {size / 1024**3:.1f} GB, over the limit of {limit:.0f} GB"])
        sheets = [entry for entry in packed if entry.filename.startswith("xl/worksheets/")]
        return any(tag in data for data in map(archive.read, sheets) for tag in FORMULA_TAGS)


@contextmanager
def _workbook(path: Source, results: bool) -> Iterator[Any]:
    from openpyxl import load_workbook

    with _broken_by_name(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about styles and validation rules, which are not read
        book = load_workbook(handle(path), read_only=True, data_only=results)
        try:
            yield book
        finally:
            book.close()


@contextmanager
def _broken_by_name(path: Source) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        OSError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        SyntaxError,
        EOFError,
    ) as error:
        what = f"is no Excel workbook that can be read ({error}); save it anew as .xlsx"
        raise refusal(ReadError, path, [what]) from error


def _title(titles: Sequence[str], sheet: str | int | None, path: Source) -> str:
    listed = ", ".join(f"'{title}'" for title in titles) or "none"
    if isinstance(sheet, str) and sheet in titles:
        return sheet
    position = 0 if sheet is None else sheet
    if isinstance(position, int) and 0 <= position < len(titles):
        return titles[position]
    wanted = f"'{sheet}'" if isinstance(sheet, str) else f"number {position}"
    raise refusal(ReadError, path, [f"has no sheet {wanted}; the sheets are: {listed}"])


def _grid(worksheet: Any) -> list[tuple[Any, ...]]:
    worksheet.reset_dimensions()  # some programs write a wrong size, which would cut rows short
    return list(worksheet.iter_rows())


def _unsaved(path: Source, title: str, grid: Sequence[Sequence[Any]]) -> list[str]:
    """Name the cells with a formula but no result: they would read as empty."""
    with _workbook(path, results=False) as book:
        written = _grid(book[title])
    # A formula whose result is an empty text is of another type than one that was never computed.
    return [
        f"cell {formula.coordinate}: has a formula whose result was never saved (open and save the file in Excel)"
        for results, formulas in zip(grid, written, strict=True)
        for result, formula in zip(results, formulas, strict=True)
        if formula.data_type == "f" and result.value is None and result.data_type == "n"
    ]
