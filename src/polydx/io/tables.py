"""Read tables of ids, labels and clinical values: CSV, TSV, XLSX, Parquet, with nothing mangled on the way.

Every cell is text first. A column becomes a number column only if each of its cells that is not empty is a
plain number: ids keep leading zeros, long numbers their digits, dates their form, and 'NA' or 'None' stay words.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import pandas as pd

from polydx.errors import ReadError
from polydx.io.files import Format, format_of, open_file, refusal
from polydx.io.parquet import parquet_columns, read_parquet
from polydx.io.sheets import read_sheet
from polydx.io.source import FileBytes, Source
from polydx.io.text import plain, quoted, read_text
from polydx.io.typed import repeated_names, typed_frame

Row: TypeAlias = tuple[int, Sequence[str]]

FORMATS: tuple[Format, ...] = ("text", "xlsx", "parquet")
DELIMITERS = (",", ";", "\t")
ROWS_SNIFFED = 50
BYTES_SNIFFED = 1 << 18


def read_table(path: str | Source, sheet: str | int | None = None, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read one table, its first row that is not empty being the header.

    Names and cells lose blanks around them (no-break ones too); empty rows and columns are dropped; a column
    without a name is called 'column N'. Column types: int64; Int64 for whole numbers with gaps; float64; else
    text (pandas 'str'). Only an empty cell is missing. A number column has no cell with leading zeros, a plus
    sign, or a bare exponent ('12E3' may be a code); a decimal comma counts where the delimiter is no comma.
    Parquet columns keep their type, but dates become text 'YYYY-MM-DD'.

    Args:
        path: .csv, .tsv, .txt (comma, semicolon or tab; UTF-8, UTF-16, Latin-1), .xlsx or .parquet.
        sheet: name, or position from 0, of the sheet of an XLSX file; default the first.
        text: columns that stay text whatever they hold, such as ids.

    Raises:
        ReadError: no such file or sheet, another format, broken quotes, rows of different lengths, names that
            stand twice, error cells; lines and cells are named, and all problems listed.
    """
    path, head = open_file(path)
    kind = format_of(path, head, FORMATS)
    if sheet is not None and kind != "xlsx":
        raise refusal(ReadError, path, ["has no sheets; `sheet` is for XLSX files"])
    if kind == "parquet":
        return _tidy_parquet(read_parquet(path), path, text)
    if kind == "xlsx":
        return _frame(read_sheet(path, sheet), path, comma=False, text=text)
    content = plain(read_text(path))
    delimiter, skipped = _delimiter(content)
    return _frame(list(_records(content, delimiter, skipped, path)), path, comma=delimiter != ",", text=text)


def first_rows(path: str | Source) -> pd.DataFrame:
    """Return the first rows of a table without reading a long one; of Parquet the columns alone.

    Raises:
        ReadError: as `read_table`.
    """
    path, head = open_file(path)
    kind = format_of(path, head, FORMATS)
    if kind == "parquet":
        return parquet_columns(path)
    if kind == "xlsx":
        return read_table(path)
    with path.open("rb") as file:
        start = file.read(BYTES_SNIFFED)
    whole = start if len(start) < BYTES_SNIFFED else start[: start.rfind(b"\n") + 1]
    return read_table(FileBytes(path.name, whole))


def _delimiter(content: str) -> tuple[str, int]:
    """Return the delimiter under which the first rows are most alike, and the lines to skip.

    Excel's own first line 'sep=;' settles it.
    """
    first = content.split("\n", 1)[0].strip().strip('"')
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4], 1
    return max(DELIMITERS, key=lambda d: _likeness(content, d)), 0


def _likeness(content: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows as long as the header, and its length; nothing for a delimiter not in it."""
    lengths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(content), delimiter=delimiter):
            if any(row):
                lengths.append(len(row))
            if len(lengths) == ROWS_SNIFFED:
                break
    except csv.Error:
        return 0.0, 0
    if not lengths or lengths[0] < 2:
        return 0.0, 0
    return lengths.count(lengths[0]) / len(lengths), lengths[0]


def _records(content: str, delimiter: str, skipped: int, path: Source) -> Iterator[Row]:
    """Yield the rows that are not empty, each with the number of its last line."""
    source = io.StringIO(content)
    for _ in range(skipped):
        source.readline()
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        what = f"line {reader.line_num + skipped}: broken quotes or an endless cell ({error})"
        raise refusal(ReadError, path, [what]) from error


def _frame(rows: Sequence[Row], path: Source, comma: bool, text: Sequence[str]) -> pd.DataFrame:
    """Return the table of a header and the rows below it."""
    names, body = rows[0][1], rows[1:]
    if not body:
        raise refusal(ReadError, path, ["has a header and no row under it"])
    width = len(names)
    ragged = [(i, cells) for i, cells in body if len(cells) < width or any(cells[width:])]
    found = [
        f"line {i}: {len(cells)} cells under a header of {width} ({quoted(' | '.join(cells))})" for i, cells in ragged
    ]
    if found:
        raise refusal(ReadError, path, found)
    columns = [[cells[i] for _, cells in body] for i in range(width)]
    filled = [i for i in range(width) if any(columns[i])]
    named = [names[i].strip() or f"column {i + 1}" for i in range(width)]
    repeated = repeated_names([(i + 1, named[i]) for i in filled])
    if repeated:
        raise refusal(ReadError, path, repeated)
    return typed_frame({named[i]: columns[i] for i in filled}, comma, text)


def _tidy_parquet(frame: pd.DataFrame, path: Source, text: Sequence[str]) -> pd.DataFrame:
    frame = frame.set_axis([plain(str(name)).strip() for name in frame.columns], axis=1)
    frame = frame.dropna(axis=0, how="all").dropna(axis=1, how="all").reset_index(drop=True)
    if frame.empty:
        raise refusal(ReadError, path, ["holds no values"])
    repeated = repeated_names(list(enumerate(frame.columns, 1)))
    if repeated:
        raise refusal(ReadError, path, repeated)
    return pd.DataFrame({name: _tidy_column(frame[name], name in text) for name in frame.columns})


def _tidy_column(column: pd.Series, as_text: bool) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        whole_days = (column.dropna() == column.dropna().dt.normalize()).all()
        dates: pd.Series = column.dt.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M:%S").astype("str")
        return dates
    if as_text or not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        stripped = column.astype("str").str.strip()
        return stripped.mask(stripped == "")
    return column
