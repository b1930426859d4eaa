"""Bringing images to one size."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.preprocessing.images.base import Batch, ImageStep, Shape

Pixels: TypeAlias = Annotated[int, Field(ge=1)]
Size: TypeAlias = Pixels | tuple[Pixels, Pixels]
Interpolation: TypeAlias = Literal["linear", "cubic", "nearest"]


class Resize(ImageStep):
    """Scale images to a size, whatever their proportions; a smaller image has weighted means of the pixels it covers.

    Equals Pillow's `resize` with the filter of that name.

    Args:
        size: side of a square, or height and width, in pixels.
        how: `linear`, `cubic` or `nearest`.
    """

    def __init__(self, size: Size = 224, how: Interpolation = "linear") -> None:
        self.size = size
        self.how = how

    def shape_out(self, shape: Shape) -> Shape:
        """Return the wanted size with the channels of the image."""
        return (*height_and_width(self.size), shape[2])

    def apply(self, images: Batch) -> Batch:
        """Scale (B, H, W, C)."""
        return scaled(images, height_and_width(self.size), self.how)


class CentreCrop(ImageStep):
    """Keep the middle of each image.

    Args:
        size: side of a square, or height and width, in pixels; images must not be smaller.
    """

    def __init__(self, size: Size = 224) -> None:
        self.size = size

    def shape_out(self, shape: Shape) -> Shape:
        """Return the wanted size with the channels of the image."""
        return (*height_and_width(self.size), shape[2])

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether the image is smaller than what is to be kept of it."""
        height, width = height_and_width(self.size)
        if shape[0] >= height and shape[1] >= width:
            return []
        found = f"{height} x {width} pixels cannot be cut out of {shape[0]} x {shape[1]}"
        return [f"{found}: put `resize` before it, or use `letterbox`"]

    def apply(self, images: Batch) -> Batch:
        """Cut (B, H, W, C)."""
        height, width = height_and_width(self.size)
        top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
        return images[:, top : top + height, left : left + width]


class Letterbox(ImageStep):
    """Scale images to fit into a size without a change of proportions, and fill the rest evenly on both sides.

    Args:
        size: side of a square, or height and width, in pixels.
        fill: value of the pixels around the image.
        how: `linear`, `cubic` or `nearest`.
    """

    def __init__(self, size: Size = 224, fill: float = 0.0, how: Interpolation = "linear") -> None:
        self.size = size
        self.fill = fill
        self.how = how

    def shape_out(self, shape: Shape) -> Shape:
        """Return the wanted size with the channels of the image."""
        return (*height_and_width(self.size), shape[2])

    def apply(self, images: Batch) -> Batch:
        """Scale and surround (B, H, W, C)."""
        count, rows, columns, channels = images.shape
        height, width = height_and_width(self.size)
        factor = min(height / rows, width / columns)
        inner = (max(1, round(rows * factor)), max(1, round(columns * factor)))
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        found = np.full((count, height, width, channels), self.fill, dtype=np.float32)
        found[:, top : top + inner[0], left : left + inner[1]] = scaled(images, inner, self.how)
        return found


def height_and_width(size: Size) -> tuple[int, int]:
    """Return height and width; one number stands for both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def scaled(images: Batch, size: tuple[int, int], how: Interpolation) -> Batch:
    """Return (B, H, W, C) images scaled to (B, height, width, C)."""
    count, rows, columns, channels = images.shape
    if (rows, columns) == size:
        return images
    flat = np.matmul(_weights(rows, size[0], how), images.reshape(count, rows, columns * channels))
    turned = flat.reshape(count, size[0], columns, channels).swapaxes(2, 3)  # (B, height, C, W)
    # One product an image, here as above: an image's answer must not depend on what else is in the batch.
    lines = np.ascontiguousarray(turned).reshape(count, -1, columns)
    found = np.matmul(lines, _weights(columns, size[1], how).T)
    return np.ascontiguousarray(found.reshape(count, size[0], channels, size[1]).swapaxes(2, 3))


@lru_cache(maxsize=64)
def _weights(before: int, after: int, how: Interpolation) -> NDArray[np.float32]:
    """Return (after, before): what each pixel of a line contributes to each of the scaled line; rows sum to 1."""
    scale = before / after
    centres = (np.arange(after) + 0.5) * scale
    if how == "nearest":
        nearest = np.minimum(np.floor(centres).astype(int), before - 1)
        return np.asarray(np.eye(before)[nearest], dtype=np.float32)
    kernel, reach = KERNELS[how]
    stretch = max(scale, 1.0)
    # Pillow lets the kernel begin and end at whole pixels, so that far pixels of tiny weight take no part.
    first = np.maximum(np.floor(centres - reach * stretch + 0.5), 0)[:, None]
    last = np.minimum(np.floor(centres + reach * stretch + 0.5), before)[:, None]
    points = np.arange(before)
    weights = kernel((points + 0.5 - centres[:, None]) / stretch) * ((points >= first) & (points < last))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _linear(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(1.0 - np.abs(x), 0.0, None)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys's cubic convolution with a = -0.5: Keys (1981), IEEE TASSP 29(6), 1153-1160."""
    d = np.abs(x)
    near = 1.5 * d**3 - 2.5 * d**2 + 1.0
    far = -0.5 * d**3 + 2.5 * d**2 - 4.0 * d + 2.0
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


KERNELS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "linear": (_linear, 1.0),
    "cubic": (_cubic, 2.0),
}
"""Interpolation -> kernel and how far it reaches, in pixels of the larger grid."""
