"""Contrast that follows the neighbourhood of each pixel."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.preprocessing.images.base import GREY, RGB, Batch, ImageStep, Shape


class CLAHE(ImageStep):
    """Equalise the histogram of brightness tile by tile, with a limit on how far contrast may rise.

    Works on the grey value, or on the value of HSV of RGB images, which keep hue and saturation.

    Args:
        clip: most that a bin may hold, as a multiple of what it would hold if all were equal; the rest is shared out.
        tiles: tiles along each side.
        bins: levels of brightness that are told apart.

    Reference: Zuiderveld (1994), Graphics Gems IV, 474-485; redistributed once, as OpenCV does it.
    """

    in_range = True

    def __init__(
        self,
        clip: Annotated[float, Field(ge=1)] = 2.0,
        tiles: Annotated[int, Field(ge=1)] = 8,
        bins: Annotated[int, Field(ge=2, le=65536)] = 256,
    ) -> None:
        self.clip = clip
        self.tiles = tiles
        self.bins = bins

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether the channels are neither grey nor RGB, or the tiles too small."""
        found = []
        if shape[2] not in (GREY, RGB):
            found.append(f"takes grey or RGB images, found {shape[2]} channels: put `to_grey` or `to_rgb` before it")
        if min(shape[:2]) < self.tiles:
            found.append(f"{self.tiles} tiles a side do not fit into {shape[0]} x {shape[1]} pixels: use fewer")
        return found

    def apply(self, images: Batch) -> Batch:
        """Equalise (B, H, W, C)."""
        value = images.max(axis=3)
        equal = self._equalised(value)
        if images.shape[3] == GREY:
            return equal[..., None]
        factor = np.divide(equal, value, out=np.ones_like(value), where=value > 0)
        return np.asarray(images * factor[..., None])

    def _equalised(self, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map each pixel of (B, H, W) by the curves of the four tiles whose middles are nearest, by distance."""
        count, height, width = value.shape
        down, across = -(-height // self.tiles), -(-width // self.tiles)
        codes = np.minimum((value * self.bins).astype(np.int64), self.bins - 1)
        curves = self._curves(codes, down, across)  # (B, tiles, tiles, bins)
        upper, lower, below = self._neighbours(height, down)
        left, right, beyond = self._neighbours(width, across)
        row = np.arange(count)[:, None, None]
        found = np.zeros_like(value)
        for tile_down, share_down in ((upper, 1 - below), (lower, below)):
            for tile_across, share_across in ((left, 1 - beyond), (right, beyond)):
                mapped = curves[row, tile_down[:, None], tile_across[None], codes]
                found += (share_down[:, None] * share_across[None] * mapped).astype(np.float32)
        return np.clip(found, 0.0, 1.0)

    def _curves(self, codes: NDArray[np.int64], down: int, across: int) -> NDArray[np.float32]:
        """Return (B, tiles, tiles, bins): what each level of brightness becomes in each tile."""
        count, tiles = len(codes), self.tiles
        extra = (down * tiles - codes.shape[1], across * tiles - codes.shape[2])
        padded = np.pad(codes, ((0, 0), (0, extra[0]), (0, extra[1])), mode="symmetric")
        tile = np.arange(count * tiles * tiles).reshape(count, tiles, 1, tiles, 1)
        numbered = padded.reshape(count, tiles, down, tiles, across) + self.bins * tile
        held = np.bincount(numbered.ravel(), minlength=tile.size * self.bins).reshape(-1, self.bins)
        most = max(self.clip * down * across / self.bins, 1.0)
        over = np.clip(held - most, 0.0, None).sum(axis=1, keepdims=True)
        curves = np.cumsum(np.minimum(held, most) + over / self.bins, axis=1) / (down * across)
        return curves.astype(np.float32).reshape(count, tiles, tiles, self.bins)

    def _neighbours(self, size: int, tile: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return for each pixel of a line the tiles before and after it, and how near it is to the one after."""
        place = (np.arange(size) + 0.5) / tile - 0.5
        before = np.floor(place).astype(np.int64)
        share = place - before
        return np.clip(before, 0, self.tiles - 1), np.clip(before + 1, 0, self.tiles - 1), share
