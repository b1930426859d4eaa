"""Occlusion of images: what a score loses where a patch shows the image's mean colour.

Shapes: `H, W` height and width, `C` channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError

Floats = NDArray[np.float64]
Pixels = NDArray[Any]
ImageScore = Callable[[Sequence[Pixels]], Floats]
"""Images of one size -> (n, ...) scores."""

TOGETHER = 32
"""Occluded copies at a time: what bounds memory, not the result."""
SHARE = 7
"""A patch is a seventh of the shorter side, unless told otherwise."""


def occlude_patches(score: ImageScore, image: Pixels, *, patch: int | None = None) -> Floats:
    """Return (H, W, ...) what each pixel adds to a score, by square patches that slide by half their side.

    The loss of score is given to all pixels of a patch, and averaged where patches overlap.

    Args:
        score: of images; those asked about have the dtype and shape of `image`.
        image: (H, W) or (H, W, C).
        patch: side in pixels; a seventh of the shorter side if not given.

    Raises:
        ConfigError: a patch of less than two pixels, or as large as the image.

    Reference: Zeiler & Fergus (2014), ECCV, 818-833.
    """
    height, width = image.shape[:2]
    side = max(2, min(height, width) // SHARE) if patch is None else patch
    if not 2 <= side < min(height, width):
        raise ConfigError(f"a patch of {side} pixels: expected 2 or more, and less than the image ({height} x {width})")
    colour = image.mean(axis=(0, 1)).astype(image.dtype)
    corners = [(y, x) for y in _starts(height, side) for x in _starts(width, side)]
    whole = score([image])[0]
    total, covered = np.zeros((height, width, *whole.shape)), np.zeros((height, width))
    for at in range(0, len(corners), TOGETHER):
        some = corners[at : at + TOGETHER]
        for (y, x), left in zip(some, score([_covered(image, y, x, side, colour) for y, x in some]), strict=True):
            total[y : y + side, x : x + side] += whole - left
            covered[y : y + side, x : x + side] += 1
    return np.asarray(total / covered.reshape(height, width, *[1] * whole.ndim))


def _starts(length: int, side: int) -> list[int]:
    """Return where patches start along one side; the last ends with the image."""
    return sorted({*range(0, length - side, max(1, side // 2)), length - side})


def _covered(image: Pixels, y: int, x: int, side: int, colour: Pixels) -> Pixels:
    copy = image.copy()
    copy[y : y + side, x : x + side] = colour
    return copy
