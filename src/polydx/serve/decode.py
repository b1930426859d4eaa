"""Uploaded bytes become arrays, by the library's readers; what would take too much is refused before it is unpacked."""

from __future__ import annotations

import io
import threading
import zipfile
from typing import Any

import numpy as np

from polydx.errors import AxisError, Problem, ReadError, SpectrumError
from polydx.io.axis import axis_problems, intensity_problems, oriented
from polydx.io.files import FOREIGN, VENDORS, open_file, refusal
from polydx.io.images import Window, count_frames, read_image
from polydx.io.source import FileBytes
from polydx.io.spectra import read_spectra
from polydx.serve.bodies import Share
from polydx.serve.cases import ImageRows, SpectraRows
from polydx.serve.refusals import too_large

MOST_TEXT = 8_000_000
"""Bytes of a file of spectra; of a workbook, once unpacked."""
WHILE_READ = 40
"""Bytes of memory that reading takes for each byte of text, at worst; they are given back afterwards."""
MOST_ROWS = 10_000
ACCEPTED = "text, CSV or XLSX"
PICTURES = ("a PNG", "a JPEG", "a GIF", "a TIFF")
DECODERS = threading.Semaphore(2)
"""Images that are decoded at a time: one may take some hundred MB on its way."""
MARKS = (b"BM", b"RIFF", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"P5", b"P6")
"""How BMP, WebP, JPEG 2000 and PGM/PPM begin."""


def looks_like_image(file: FileBytes) -> bool:
    """Return whether the content is that of an image; decides where a file belongs that names no modality."""
    head = file.data[:512]
    if head[128:132] == b"DICM" or head.startswith(MARKS):
        return True
    return any(head.startswith(start) and words.startswith(PICTURES) for start, words in FOREIGN)


def read_spectra_file(file: FileBytes, share: Share) -> SpectraRows:
    """Return the spectra of a file of text or an Excel sheet.

    Raises:
        ReadError, AxisError, SpectrumError: as `read_spectra`; or another format, which could hold more than its size.
        RefusedError: too large.
    """
    source, head = open_file(file)
    if file.suffix.lower() not in VENDORS and head.startswith((b"\x93NUMPY", b"\x89HDF", b"PAR1")):
        what = f"is an array or Parquet file, which the server does not take; send {ACCEPTED}"
        raise refusal(ReadError, source, [what])
    size = _unpacked(file) if head.startswith(b"PK\x03\x04") else len(file.data)
    if size > MOST_TEXT:
        raise too_large(f"{file.name} has {size / 1e6:.0f} MB of text, over {MOST_TEXT // 10**6} MB; split it")
    with share.borrowed(WHILE_READ * size):
        values, axis = read_spectra(file)
    if len(values) > MOST_ROWS:
        raise too_large(f"{file.name} holds {len(values)} spectra, over {MOST_ROWS}; split it, or use `polydx predict`")
    share.take(values.nbytes)
    return SpectraRows(values, axis)


def _unpacked(file: FileBytes) -> int:
    """Return the bytes of an archive once unpacked; 0 if it is broken, of which the reader tells more."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        return 0


def read_image_file(file: FileBytes, window: Window, share: Share, most_frames: int) -> ImageRows:
    """Return the frames of an image file.

    Raises:
        ReadError: as `read_image`.
        RefusedError: too many frames, or too large decoded.
    """
    frames = count_frames(file)
    if frames > most_frames:
        raise too_large(f"{file.name} holds {frames} frames, over {most_frames}; send less at a time")
    found = []
    for frame in range(frames):
        with DECODERS:
            found.append(read_image(file, frame, window=window))
        share.take(found[-1].nbytes)
    return ImageRows(found)


def spectra_of_numbers(where: str, axis: Any, values: Any) -> SpectraRows:
    """Return spectra given as numbers: (L,) and (L,) or (n, L).

    Raises:
        AxisError, SpectrumError: they are not what a spectrum is.
    """
    points = np.array(axis, dtype=np.float64)
    lengths = {len(row) for row in values} if values and isinstance(values[0], list) else {len(values)}
    if lengths != {len(points)}:
        found = ", ".join(map(str, sorted(lengths)[:5]))
        raise AxisError("axis and values differ in length", [Problem(where, f"{len(points)} points, {found} values")])
    rows = np.atleast_2d(np.array(values, dtype=np.float64))
    if wrong := axis_problems(points, lambda i: f"point {i + 1}"):
        raise AxisError("the axis is not one", [Problem(where, what) for what in wrong])
    if wrong := intensity_problems(rows, lambda row, point: f"spectrum {row + 1}, point {point + 1}"):
        raise SpectrumError("the intensities are not those of a spectrum", [Problem(where, what) for what in wrong])
    return SpectraRows(*oriented(rows, points))
