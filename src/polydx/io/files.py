"""What every reader asks first: is there a file, may it be read, and what does it hold."""

from __future__ import annotations

import difflib
import errno
import os
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from polydx.errors import PolydxError, Problem, ReadError, counted
from polydx.io.source import Source

Format: TypeAlias = Literal["text", "npy", "hdf5", "parquet", "xlsx"]

MOST_BYTES = 2 * 1024**3
MOST_NEIGHBOURS = 5000
HEAD_BYTES = 512

EXTENSIONS: dict[str, Format] = {
    **dict.fromkeys((".txt", ".csv", ".tsv", ".dat", ".asc", ".xy"), "text"),
    ".npy": "npy",
    **dict.fromkeys((".h5", ".hdf5"), "hdf5"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".xlsx", ".xlsm"), "xlsx"),
}

VENDORS = {
    ".wdf": "a Renishaw WDF file",
    ".spc": "a Galactic SPC file",
    **dict.fromkeys((".spa", ".spg", ".srs"), "a Thermo OMNIC file"),
    **dict.fromkeys((".jdx", ".dx", ".jcm", ".jcamp"), "a JCAMP-DX file"),
    ".opus": "a Bruker OPUS file",
    ".tvf": "a TriVista file",
    **dict.fromkeys((".l6s", ".l5s", ".ngs"), "a LabSpec file"),
    **dict.fromkeys((".wip", ".wid"), "a WITec project"),
    ".raw8": "an Avantes file",
    ".sif": "an Andor file",
    ".spe": "a Princeton Instruments file",
}

VENDOR_CONTENTS = (
    (b"WDF1", "a Renishaw WDF file"),
    (b"\x0a\x0a\xfe\xfe", "a Bruker OPUS file"),
    (b"Spectral Data File", "a Thermo OMNIC file"),
    (b"##TITLE", "a JCAMP-DX file"),
    (b"##title", "a JCAMP-DX file"),
)

CONTENTS: tuple[tuple[bytes, Format, str], ...] = (
    (b"\x93NUMPY", "npy", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "hdf5", "an HDF5 file"),
    (b"PAR1", "parquet", "a Parquet file"),
)

FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7-zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old or password-protected Office file; save it as .xlsx without a password"),
    (b"MATLAB 5.0", "a MATLAB file; export it as text"),
    (b"SQLite format 3", "an SQLite database"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"{\\rtf", "an RTF document; save it as plain text"),
)


def refusal(error: type[PolydxError], path: Source, found: Sequence[str]) -> PolydxError:
    """Return the one error that lists all that is wrong with a file."""
    return error(f"{counted(len(found), 'problem')} in {path}", [Problem(path.name, what) for what in found])


def open_file(path: str | Source) -> tuple[Source, bytes]:
    """Return the path and the first bytes of a file that can be read.

    A name whose accents are stored in another way than on the disk finds its file: the path returned is the disk's.

    Raises:
        ReadError: missing (close names are suggested), a folder, a link that leads nowhere or to itself, no
            regular file, no permission, empty, or over `MOST_BYTES`.
    """
    path = as_stored(Path(path)) if isinstance(path, str | Path) else path
    try:
        status = path.stat()
        _check_status(status)
        with path.open("rb") as file:
            return path, file.read(HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise refusal(ReadError, path, [_why_unreadable(path, error)]) from error


def as_stored(path: Path) -> Path:
    """Return a path as the disk spells its accents: a Mac writes 'ä' as 'a' and two dots; unchanged if nothing fits."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if part.isascii() or os.path.lexists(found / part):
            found /= part
            continue
        try:
            stored = [name for name in os.listdir(found) if _composed(name) == _composed(part)]
        except (OSError, ValueError):
            return path
        if len(stored) != 1:
            return path
        found /= stored[0]
    return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def read_bytes(path: Source) -> bytes:
    """Return all bytes of a file that `open_file` has let through.

    Raises:
        ReadError: the disk fails, or the file has gone since.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(ReadError, path, [_why_unreadable(path, error)]) from error


def format_of(path: Source, head: bytes, accepted: Iterable[Format]) -> Format:
    """Return what a file holds; its name and its content must agree.

    Args:
        path: names the file in errors; the extension is a claim about the content.
        head: the first bytes.
        accepted: the formats the caller reads.

    Raises:
        ReadError: an instrument's own format, an image, an archive ..., a content that belies the name, or a
            format the caller does not read.
    """
    claim, (content, words) = EXTENSIONS.get(path.suffix.lower()), _content_of(path, head)
    if content is None or (claim is not None and claim != content):
        name = f"is named {path.suffix} but holds {words}" if claim else f"holds {words}"
        raise refusal(ReadError, path, [f"{name}; expected {_listed(accepted)}"])
    if content not in tuple(accepted):
        raise refusal(ReadError, path, [f"holds {words}; expected {_listed(accepted)}"])
    return content


def _listed(accepted: Iterable[Format]) -> str:
    return " or ".join(accepted)


def _content_of(path: Source, head: bytes) -> tuple[Format | None, str]:
    """Return the format the bytes show (None if no reader exists) and its name in words."""
    vendor = VENDORS.get(path.suffix.lower()) or _match(head, VENDOR_CONTENTS)
    if vendor is not None:
        what = f"is {vendor}, an instrument's own format; export it there as text (wavenumber, intensity)"
        raise refusal(ReadError, path, [what])
    for start, known, words in CONTENTS:
        if head.startswith(start):
            return known, words
    if head.startswith(b"PK\x03\x04"):
        return _zip_content(path)
    foreign = _match(head, FOREIGN)
    if foreign is None and head[128:132] == b"DICM":
        foreign = "a DICOM image"
    return (None, foreign) if foreign else ("text", "text or unknown bytes")


def _match(head: bytes, known: Iterable[tuple[bytes, str]]) -> str | None:
    return next((words for start, words in known if head.startswith(start)), None)


def _zip_content(path: Source) -> tuple[Format | None, str]:
    # Every Office file is a ZIP archive; its name is the only cheap hint, its content is checked on reading.
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return "xlsx", "an Excel workbook"
    return None, "a ZIP archive or Office file (an Excel workbook must be named .xlsx)"


def _check_status(status: os.stat_result) -> None:
    """Raise ValueError with the reason if this is no readable regular file of a sane size."""
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("is a folder; give one file")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is a device, pipe or socket, no regular file")
    if status.st_size == 0:
        raise ValueError("is empty (0 bytes)")
    if status.st_size > MOST_BYTES:
        size, limit = status.st_size / 1024**3, MOST_BYTES / 1024**3
        raise ValueError(f"has {size:.2f} GB, over the limit of {limit:.0f} GB; split it")


def _why_unreadable(path: Source, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError) or not isinstance(path, Path):
        return str(error)
    if error.errno == errno.ELOOP:
        return "is a symbolic link that leads back to itself"
    if isinstance(error, PermissionError):
        return "may not be read: no permission; change its rights, or run as its owner"
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"is a link to {os.readlink(path)}, which does not exist"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _missing(path)
    return f"cannot be read: {error.strerror or error}"


def _missing(path: Path) -> str:
    if ";" in str(path):
        return (
            "does not exist; if these are several files, give each a row of its own: with `unit: patient` all rows of "
            "a patient are one sample"
        )
    if not path.parent.is_dir():
        return f"does not exist; nor does its folder {path.parent}"
    neighbours = [entry.name for entry in islice(path.parent.iterdir(), MOST_NEIGHBOURS)]
    close = difflib.get_close_matches(path.name, neighbours, n=3)
    hint = f"; close names there: {', '.join(close)}" if close else ""
    return f"does not exist{hint}"
