"""Large files of spectra, a few thousand rows at a time: what bounds memory when millions are predicted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from polydx.errors import ReadError
from polydx.io.arrays import sibling_axis
from polydx.io.files import refusal
from polydx.io.headers import wide_header
from polydx.io.source import FileBytes, Source
from polydx.io.spectra import Pair, checked_spectra, read_axis, read_spectra, wide_of_frame

LARGE = 64 * 1024**2
"""Bytes from which a file is read in pieces."""
LONGEST = 8 * 1024**2
"""Bytes of a header."""
TEXT = 8 * 1024**2
"""Bytes of text after which a piece ends: read, it takes many times as much."""


def spectra_in_pieces(path: Source, rows: int) -> Iterator[Pair]:
    """Yield the spectra of a file: all at once, or of a large NumPy, Parquet or wide text file some rows at a time.

    Args:
        path: the file.
        rows: of a piece, of a large file.

    Yields:
        values (n, L) and axis (L,), as `read_spectra` gives them; rows and lines in errors count within a piece.

    Raises:
        ReadError, AxisError, SpectrumError: as `read_spectra`.
    """
    if not isinstance(path, Path) or not path.is_file() or path.stat().st_size < LARGE:
        yield read_spectra(path)
        return
    with path.open("rb") as file:
        head = file.read(6)
    if head == b"\x93NUMPY":
        yield from _of_npy(path, rows)
    elif head[:4] == b"PAR1":
        yield from _of_parquet(path, rows)
    else:
        yield from _of_text(path, rows)


def _of_npy(path: Path, rows: int) -> Iterator[Pair]:
    axis = read_axis(sibling_axis(path))
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise refusal(ReadError, path, [f"is no NumPy array that can be read safely ({error})"]) from error
    for start in range(0, len(values), rows) if values.ndim == 2 and values.dtype.kind in "fiu" else [0]:
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            what = f"holds {values.dtype} of shape {values.shape}; expected numbers (spectra, points)"
            raise refusal(ReadError, path, [what])
        # Opened anew each time: pages of a map that stays open count as memory in use.
        part = np.load(path, mmap_mode="r", allow_pickle=False)[start : start + rows]
        yield checked_spectra(np.asarray(part, dtype=np.float64), axis, path)


def _of_parquet(path: Path, rows: int) -> Iterator[Pair]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for groups in _row_groups(file, rows):
                for batch in file.iter_batches(batch_size=rows, row_groups=groups):
                    table = wide_of_frame(batch.to_pandas(ignore_metadata=True), path)
                    yield table.values, table.axis
    except (pa.ArrowException, OSError) as error:
        raise refusal(ReadError, path, [f"is a broken Parquet file ({error})"]) from error


def _row_groups(file: Any, rows: int) -> Iterator[list[int]]:
    """Yield neighbouring row groups of about `rows` rows: a pass over all groups keeps what it has read of each."""
    taken: list[int] = []
    for group in range(file.num_row_groups):
        taken.append(group)
        if sum(file.metadata.row_group(g).num_rows for g in taken) >= rows:
            yield taken
            taken = []
    if taken:
        yield taken


def _of_text(path: Path, rows: int) -> Iterator[Pair]:
    with path.open("rb") as file:
        first = file.readline(LONGEST)
        try:
            wide = wide_header(first.decode("utf-8-sig"))
        except UnicodeDecodeError:
            wide = None
        if wide is None or wide.line != 1:
            yield read_spectra(path)
            return
        while lines := _lines(file, rows):
            if b"".join(lines).strip():
                yield read_spectra(FileBytes(path.name, first + b"".join(lines)))


def _lines(file: BinaryIO, rows: int) -> list[bytes]:
    """Return the next lines: so many, or fewer where they are long."""
    found, size = [], 0
    for line in islice(file, rows):
        found.append(line)
        size += len(line)
        if size >= TEXT:
            break
    return found
