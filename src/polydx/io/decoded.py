"""Decode the rows of an images modality once, side by side, and keep what fits into a bound of memory.

Shapes: `n` rows, `H, W` height and width, `C` channels.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import Problem, ReadError, counted
from polydx.io.images import Pixels, Window, read_image
from polydx.modalities import HeldImages, Images

Prepare: TypeAlias = Callable[[Pixels], NDArray[Any]]
Key: TypeAlias = tuple[str, int, int, int, Window, Hashable]

SHARE_OF_MEMORY = 0.25
LEAST_BYTES = 256 * 1024**2


def memory_bound() -> int:
    """Return the bytes of decoded images to keep by default: a quarter of the machine's memory."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not every system tells
        whole = 0
    return max(LEAST_BYTES, int(SHARE_OF_MEMORY * whole))


@dataclass
class Decoded:
    """Arrays by key, the least recently used dropped first once they exceed a bound; safe between threads.

    Attributes:
        most_bytes: of all arrays together. A larger array is given, but not kept.
    """

    most_bytes: int
    _kept: OrderedDict[Key, NDArray[Any]] = field(default_factory=OrderedDict, repr=False)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __len__(self) -> int:
        """Return the number of arrays kept."""
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays kept."""
        return self._bytes

    def get(self, key: Key) -> NDArray[Any] | None:
        """Return what is kept under a key, None if nothing is."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Key, values: NDArray[Any]) -> None:
        """Keep an array, which becomes read-only: it is shared."""
        values.flags.writeable = False
        if values.nbytes > self.most_bytes:
            return
        with self._lock:
            previous = self._kept.pop(key, None)
            self._kept[key] = values
            self._bytes += values.nbytes - (previous.nbytes if previous is not None else 0)
            while self._bytes > self.most_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


STORE = Decoded(memory_bound())
"""What this process has decoded so far."""


def decoded(
    images: Images,
    prepare: Prepare | None = None,
    prepared: Hashable = None,
    *,
    store: Decoded = STORE,
    workers: int | None = None,
) -> list[NDArray[Any]]:
    """Return the decoded rows of a modality, in their order.

    A file is decoded again only if its name, size or time of change differ, or if it was dropped to stay within the
    store's bound. Each file is decoded once even if it stands in several rows. Pillow works outside the interpreter's
    lock, so threads help.

    Args:
        images: the rows.
        prepare: what to keep of each image in place of its pixels, such as a smaller copy; a pure function.
        prepared: names what `prepare` does; two that do the same have the same name.
        store: where arrays are kept.
        workers: files at once; the number of cores if not given.

    Returns:
        n arrays (H, W) or (H, W, C), read-only; sizes and dtypes may differ from image to image.

    Raises:
        ReadError: listing all files that cannot be read.
    """
    if isinstance(images, HeldImages):
        return [pixels if prepare is None else np.array(prepare(pixels)) for pixels in images.pixels]
    keys = [_key(path, frame, images.window, prepared) for path, frame in zip(images.paths, images.frames, strict=True)]
    found = {key: store.get(key) for key in dict.fromkeys(keys)}
    lacking = {key: i for i, key in enumerate(keys) if found[key] is None}

    def decode(row: int) -> NDArray[Any] | ReadError:
        pixels = store.get((*keys[row][:-1], None)) if prepare is not None else None
        try:
            if pixels is None:
                pixels = read_image(images.paths[row], images.frames[row], window=images.window)
        except ReadError as error:
            return error
        return pixels if prepare is None else np.array(prepare(pixels))

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        results = dict(zip(lacking, pool.map(decode, lacking.values()), strict=True))
    refuse_unreadable([r for r in results.values() if isinstance(r, ReadError)], len(images))
    for key, result in results.items():
        if not isinstance(result, ReadError):
            store.put(key, result)
            found[key] = result
    return [values for key in keys if (values := found[key]) is not None]


def refuse_unreadable(errors: Sequence[ReadError], of: int) -> None:
    """Raise one error that lists the problems of many files, if there are any.

    Raises:
        ReadError: listing them.
    """
    problems: list[Problem] = [p for error in errors for p in error.problems or (Problem("image", error.message),)]
    if problems:
        raise ReadError(f"{len(errors)} of {counted(of, 'image')} cannot be read", problems)


def _key(path: Path, frame: int, window: Window, prepared: Hashable) -> Key:
    """Return what identifies a decoded frame; a file that is not there is met again when it is read."""
    try:
        status = path.stat()
    except OSError:
        return (str(path), -1, -1, frame, window, prepared)
    return (os.path.abspath(path), status.st_size, status.st_mtime_ns, frame, window, prepared)
