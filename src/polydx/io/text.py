"""Bytes to text to numbers: encodings, delimiters, decimal commas, and nothing guessed silently."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable

from polydx.errors import ReadError
from polydx.io.files import read_bytes, refusal
from polydx.io.source import Source

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the start of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]")
TYPOGRAPHY = str.maketrans({"\xa0": " ", "\u2009": " ", "\u202f": " ", "\u2212": "-", "\ufeff": None})

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity|1\.#\w+)", re.IGNORECASE | re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
MOST_QUOTED = 60


def read_text(path: Source) -> str:
    r"""Return the text of a file, with '\n' as the only line end.

    Encodings: UTF-8, UTF-16 and UTF-32 by their byte-order mark, UTF-16 without one by its zero bytes,
    else UTF-8, else Windows-1252 / Latin-1.

    Raises:
        ReadError: the bytes are no text.
    """
    text = _decode(read_bytes(path), path).rstrip("\x1a")  # DOS ends a text file with Ctrl-Z
    if CONTROL.search(text):
        raise refusal(ReadError, path, ["holds binary data, not text; export the measurement as text"])
    if not text.strip():
        raise refusal(ReadError, path, ["holds blanks only"])
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes, path: Source) -> str:
    encoding = next((name for mark, name in BOMS if data.startswith(mark)), None) or _unmarked_utf16(data)
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            what = f"is broken {encoding.upper()} text at byte {error.start}; was it cut short?"
            raise refusal(ReadError, path, [what]) from error
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unmarked_utf16(data: bytes) -> str | None:
    head = data[:4096]
    if b"\0" not in head or len(head) < 4:
        return None
    if not any(head[0::2]):
        return "utf-16-be"
    return "utf-16-le" if not any(head[1::2]) else None


def plain(text: str) -> str:
    """Return text with no-break spaces as blanks and typographic minus signs as hyphens."""
    return text if text.isascii() else text.translate(TYPOGRAPHY)


def quoted(text: str) -> str:
    """Return text in quotes for a message, cut to a readable length."""
    text = text.strip()
    return f"'{text}'" if len(text) <= MOST_QUOTED else f"'{text[:MOST_QUOTED]} ...'"


def number(field: str, comma: bool = False) -> float | None:
    """Return the number a field spells out, NaN or infinity for their words, None for anything else.

    Stricter than `float`: no underscores, no digits of other scripts.

    Args:
        field: the text; blanks around it are ignored.
        comma: the decimal mark is a comma, and a point is an error.
    """
    field = field.strip()
    if comma:
        if "." in field and "#" not in field:
            return None
        field = field.replace(",", ".")
    if NUMBER.fullmatch(field):
        return float(field)
    if NOT_FINITE.fullmatch(field):
        if "inf" not in field.lower():
            return math.nan
        return -math.inf if field.startswith("-") else math.inf
    return None


def doubtful_thousands(fields: Iterable[str]) -> str | None:
    """Return a number such as '21,063' if the comma may as well separate thousands, else None.

    It may if every comma stands before exactly three digits while other numbers have none: software that
    writes three decimals writes them everywhere.
    """
    candidate, without = None, False
    for field in fields:
        field = field.strip()
        if "," not in field:
            without = without or bool(field)
        elif not THOUSANDS.fullmatch(field):
            return None
        else:
            candidate = candidate or field
    return candidate if without else None
