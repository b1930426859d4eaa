"""A measurement in the place of another one: rows of a modality that equal a row of the same sample in another.

Where a sequence was not taken, some sources put a copy of another one there. A model would learn that the copy means
something, and a report would count the modality as there.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from polydx.io.images import read_image
from polydx.modalities import Images, IntArray, Modality, Spectra


def row_digests(modality: Modality, rows: IntArray) -> dict[int, bytes]:
    """Return row -> SHA-256 of what it measured: decoded pixels, so that another file format changes nothing.

    Raises:
        ReadError: an image cannot be read.
    """
    if isinstance(modality, Images):
        with ThreadPoolExecutor() as pool:
            pixels = pool.map(lambda row: _pixels(modality, row), rows.tolist())
            return dict(zip(rows.tolist(), pixels, strict=True))
    if isinstance(modality, Spectra):
        axis = modality.axis.tobytes()
        return {row: hashlib.sha256(axis + modality.content(row)).digest() for row in rows.tolist()}
    return {row: hashlib.sha256(modality.content(row)).digest() for row in rows.tolist()}


def _pixels(images: Images, row: int) -> bytes:
    found = read_image(images.paths[row], images.frames[row], window=images.window)
    return hashlib.sha256(f"{found.shape} {found.dtype}".encode() + found.tobytes()).digest()


def equal_entries(
    sample: IntArray, digests: list[bytes], other_sample: IntArray, other_digests: list[bytes]
) -> NDArray[np.bool_]:
    """Return which rows of one modality equal a row that the same sample has in another.

    Args:
        sample: the sample of each row.
        digests: of each row.
        other_sample: the sample of each row of the other modality.
        other_digests: of each row of the other modality.
    """
    there = set(zip(other_sample.tolist(), other_digests, strict=True))
    return np.array([pair in there for pair in zip(sample.tolist(), digests, strict=True)], dtype=np.bool_)
