"""Feature maps on disk: memory-mapped, bounded in size, each file whole or not there."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from polydx.errors import ConfigError
from polydx.io.atomic import replacing

SUFFIX = ".safetensors"
SHARD = 64 * 2**20
"""Bytes of maps in one file, at most, unless a single map is larger."""
ABANDONED = 3600.0
"""Seconds after which a temporary file belongs to a write that was killed."""

Shelf = dict[bytes, Tensor]
"""Digest of a row -> its map, memory-mapped."""


class PrefixStore:
    """A folder of feature maps, safe to delete at any time, that several processes may use at once.

    Under the folder lies one folder a key, and in it safetensors files of `rows` (n, 32) uint8 digests and `maps`
    (n, ...). A file appears under its name only when it is whole; one that is not is removed. To keep within `limit`
    the files that were used longest ago go first, never those that this store has opened.

    Args:
        folder: made when the first map is written.
        limit: bytes of all files together. Fits side by side may each pass it by one file.

    Attributes:
        trouble: why maps were not kept, None while all were.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.trouble: str | None = None
        self._used: set[Path] = set()
        self._shelves: dict[str, Shelf] = {}

    @property
    def takes_more(self) -> bool:
        """Whether it makes sense to bring more maps: not after one was refused."""
        return self.limit > 0 and self.trouble is None

    @property
    def shard(self) -> int:
        """Bytes of maps to bring at once."""
        return max(1, min(SHARD, self.limit // 4))

    def shelf(self, key: str) -> Shelf:
        """Return what is kept under a key, read once; what is added later is put in."""
        if key not in self._shelves:
            found = self._shelves[key] = {}
            for file in sorted(_listed(self.folder / key)):
                found |= self._open(file)
        return self._shelves[key]

    def add(self, key: str, digests: Sequence[bytes], maps: Tensor) -> Shelf:
        """Keep maps (n, ...) under the digests of their rows; return them memory-mapped.

        Where there is no room on the disk or within the limit nothing is kept and nothing returned: `trouble` tells.
        """
        from safetensors.torch import save

        rows = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).view(len(digests), -1)
        content = save({"rows": rows, "maps": maps.contiguous()})
        file = self.folder / key / f"{sha256(b''.join(digests)).hexdigest()[:32]}{SUFFIX}"
        if not self._make_room(len(content)):
            self.trouble = f"they need more than the {self.limit / 1e9:g} GB allowed"
            return {}
        try:
            with replacing(file) as temporary, temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())  # else a power cut could leave the name without the content
        except ConfigError as error:
            self.trouble = error.message
            return {}
        found = self._open(file)
        self.shelf(key).update(found)
        return found

    def _open(self, file: Path) -> Shelf:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, "pt") as content:
                rows, maps = content.get_tensor("rows"), content.get_tensor("maps")
        except SafetensorError:  # cut short
            with suppress(OSError):
                file.unlink(missing_ok=True)
            return {}
        except OSError:  # removed by another process
            return {}
        with suppress(OSError):
            os.utime(file)
        self._used.add(file)
        return {digest.tobytes(): row for digest, row in zip(rows.numpy(), maps, strict=True)}

    def _make_room(self, size: int) -> bool:
        """Remove what was used longest ago until `size` bytes fit; tell whether they do."""
        self._sweep()
        found: dict[Path, tuple[float, int]] = {}
        for file in _listed(self.folder, "*/"):
            with suppress(OSError):  # another process may remove it first
                status = file.stat()
                found[file] = (status.st_mtime, status.st_size)
        free = self.limit - size - sum(length for file, (_, length) in found.items() if file in self._used)
        if free < 0:
            return False
        others = sorted((used, length, file) for file, (used, length) in found.items() if file not in self._used)
        excess = sum(length for _, length, _ in others) - free
        for _, length, file in others:
            if excess <= 0:
                break
            with suppress(OSError):
                file.unlink(missing_ok=True)
                excess -= length
        return excess <= 0

    def _sweep(self) -> None:
        """Remove what killed writes have left."""
        for file in self.folder.glob(f"*/.*{SUFFIX}.*.tmp"):
            with suppress(OSError):
                if file.stat().st_mtime < time.time() - ABANDONED:
                    file.unlink()


def _listed(folder: Path, below: str = "") -> list[Path]:
    return [file for file in folder.glob(f"{below}*{SUFFIX}") if not file.name.startswith(".")]
