"""Texture of images as features for classical models."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.preprocessing.images.base import Batch, ImageStep, Shape

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""The eight neighbours, as (row, column), once around."""
PATTERNS = 10
"""Uniform patterns by their number of brighter neighbours, 0 to 8, and all others."""


class LocalBinaryPatterns(ImageStep):
    """Share of an image's pixels with each local pattern: (B, H, W, C) becomes (B, D), 10 numbers a cell and channel.

    A pixel's pattern is which of its eight neighbours are at least as bright. Patterns with at most two changes around
    the circle (spots, edges, corners, flat places) are told apart by how many neighbours that are, the others are one.
    So turning the image by a quarter changes nothing, nor does any rise of brightness or contrast.

    Args:
        radius: pixels from the middle to the neighbours, along and across.
        grid: cells along each side of the image, each counted on its own.

    Reference: Ojala, Pietikainen & Maenpaa (2002), IEEE TPAMI 24(7), 971-987 (LBP riu2, on a square neighbourhood).
    """

    makes_features = True

    def __init__(self, radius: Annotated[int, Field(ge=1)] = 1, grid: Annotated[int, Field(ge=1, le=32)] = 1) -> None:
        self.radius = radius
        self.grid = grid

    def shape_out(self, shape: Shape) -> Shape:
        """Return the number of features."""
        return (PATTERNS * self.grid**2 * shape[2],)

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether a cell would have no pixel with all its neighbours."""
        least = 2 * self.radius + self.grid
        if min(shape[:2]) >= least:
            return []
        return [f"images of {shape[0]} x {shape[1]} pixels are too small: expected at least {least} along each side"]

    def apply(self, images: Batch) -> Batch:
        """Count (B, H, W, C) patterns in each cell."""
        labels = _labels(images, self.radius)
        rows = np.array_split(np.arange(labels.shape[1]), self.grid)
        columns = np.array_split(np.arange(labels.shape[2]), self.grid)
        cells = [labels[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1] for r in rows for c in columns]
        return np.concatenate([_shares(cell) for cell in cells], axis=1)


def _labels(images: Batch, radius: int) -> NDArray[np.int64]:
    """Return the pattern, 0 to 9, of each pixel that has all neighbours: (B, H - 2 radius, W - 2 radius, C)."""
    height, width = images.shape[1:3]
    middle = images[:, radius : height - radius, radius : width - radius]
    brighter = np.stack(
        [
            images[:, radius + dy : height - radius + dy, radius + dx : width - radius + dx] >= middle
            for dy, dx in (radius * np.array(AROUND)).tolist()
        ]
    )
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    return np.where(changes <= 2, brighter.sum(axis=0), PATTERNS - 1)


def _shares(cell: NDArray[np.int64]) -> Batch:
    """Return (B, 10 C): the share of a cell's pixels with each pattern, channel by channel."""
    count, channels = len(cell), cell.shape[3]
    flat = cell.reshape(count, -1, channels)
    codes = flat + PATTERNS * np.arange(channels) + PATTERNS * channels * np.arange(count)[:, None, None]
    found = np.bincount(codes.ravel(), minlength=count * channels * PATTERNS)
    return np.asarray(found.reshape(count, -1) / flat.shape[1], dtype=np.float32)
