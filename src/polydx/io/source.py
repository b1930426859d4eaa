"""Where a reader takes bytes from: a file on the disk, or one held in memory that never was on any."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Literal, Protocol


class Source(Protocol):
    """What readers ask of a file: a `Path` answers it, and `FileBytes`."""

    @property
    def name(self) -> str:
        """The file's own name; stands in errors."""

    @property
    def suffix(self) -> str:
        """The extension with its dot: a claim about the content."""

    def stat(self) -> os.stat_result:
        """Return size and kind."""

    def open(self, mode: Literal["rb"]) -> Any:
        """Return the bytes as a file to read and seek in."""

    def read_bytes(self) -> bytes:
        """Return the bytes."""


@dataclass(frozen=True)
class FileBytes:
    """A file held in memory, such as an upload; every reader takes it where it takes a path.

    Attributes:
        name: what the file is called; its extension counts as that of a file on the disk.
        data: the content.
    """

    name: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        """Return the name, as it stands in messages."""
        return self.name

    @property
    def suffix(self) -> str:
        """The extension with its dot."""
        return PurePath(self.name).suffix

    def stat(self) -> os.stat_result:
        """Return what a regular file of this size would say of itself."""
        return os.stat_result((stat.S_IFREG | 0o400, 0, 0, 1, 0, 0, len(self.data), 0, 0, 0))

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Return the bytes as a file to read and seek in."""
        return io.BytesIO(self.data)

    def read_bytes(self) -> bytes:
        """Return the bytes."""
        return self.data


def handle(source: Source) -> Any:
    """Return what libraries open: the path itself (they may map it), or the bytes as a file."""
    return source if isinstance(source, Path) else source.open("rb")
