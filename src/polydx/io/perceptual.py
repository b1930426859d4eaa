"""Perceptual hashes: 64 bits an image, near for images that look alike, whatever their size, format or compression.

Shapes: `n` images, `H, W` height and width.

The hash is that of Zauner (2010), "Implementation and benchmarking of perceptual image hash functions", section 3.2.1:
the lowest 8 x 8 frequencies of a 32 x 32 copy in grey, each above their median or not; the constant one is left out of
the median. Two unrelated images differ in about 32 of the 64 bits; a copy saved again as JPEG differs in 0 to 4.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from polydx.io.decoded import decoded
from polydx.io.images import Pixels
from polydx.modalities import Images

Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]
Integers = NDArray[np.int64]

SIDE = 32
LOW = 8
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
BLOCK = 2048
NEAR = 4
"""Bits of 64 in which near duplicates may differ. By chance, two unrelated hashes are so near once in 3e13 pairs."""


def hash_images(images: Images) -> tuple[Hashes, NDArray[np.float32]]:
    """Return the hash of each row, and the small grey copy it was made of.

    Returns:
        (n,) uint64, and (n, 32, 32) float32 from 0 to 1.

    Raises:
        ReadError: listing all files that cannot be read.
    """
    small = decoded(images, small_grey, ("small grey", SIDE))
    stacked = np.stack(small) if small else np.empty((0, SIDE, SIDE), np.float32)
    return perceptual_hash(stacked), stacked


def small_grey(image: Pixels) -> NDArray[np.float32]:
    """Return a (32, 32) copy in grey of an image, the mean of each cell, scaled from its darkest to its brightest.

    Args:
        image: (H, W), or (H, W, C) with grey and alpha, RGB or RGBA; alpha is left out.
    """
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels in (3, 4):
        grey = sum(weight * _cells(image[..., c]) for c, weight in enumerate(LUMA))
    else:
        grey = _cells(image if image.ndim == 2 else image[..., 0])
    low, high = float(np.min(grey)), float(np.max(grey))
    return np.asarray((grey - low) / (high - low if high > low else 1.0), dtype=np.float32)


def _cells(plane: NDArray[np.generic]) -> Floats:
    """Return the (32, 32) means of the cells of a plane; planes below 32 are repeated up to it first."""
    for axis in (0, 1):
        if plane.shape[axis] < SIDE:
            plane = np.repeat(plane, -(-SIDE // plane.shape[axis]), axis=axis)
    rows, columns = (np.arange(SIDE) * size // SIDE for size in plane.shape)
    sums = np.add.reduceat(np.add.reduceat(plane, rows, axis=0, dtype=np.float64), columns, axis=1)
    heights, widths = np.diff([*rows, plane.shape[0]]), np.diff([*columns, plane.shape[1]])
    return np.asarray(sums / np.outer(heights, widths))


def perceptual_hash(small: NDArray[np.float32]) -> Hashes:
    """Return the hash of small grey copies.

    Args:
        small: (n, 32, 32).

    Returns:
        (n,) uint64.
    """
    k, x = np.ogrid[:LOW, :SIDE]
    cosines = np.cos(np.pi * k * (2 * x + 1) / (2 * SIDE))  # (8, 32): DCT-II, unscaled
    low = (cosines @ small.astype(np.float64) @ cosines.T).reshape(len(small), LOW * LOW)
    low = np.round(low, 9)  # a flat image has zeros, not noise around them
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    weights = np.uint64(1) << np.arange(LOW * LOW, dtype=np.uint64)
    return np.asarray((bits * weights).sum(axis=1, dtype=np.uint64))


def near_pairs(hashes: Hashes, most: int = NEAR) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Yield pairs of rows whose hashes differ in at most so many bits, block by block.

    Yields:
        first (m,), second (m,) with first < second, and the number of bits (m,).
    """
    for top in range(0, len(hashes), BLOCK):
        for left in range(top, len(hashes), BLOCK):
            differing = np.bitwise_count(hashes[top : top + BLOCK, None] ^ hashes[None, left : left + BLOCK])
            i, j = np.nonzero(differing <= most)
            kept = top + i < left + j
            i, j = i[kept], j[kept]
            if len(i):
                yield top + i, left + j, differing[i, j].astype(np.int64)
