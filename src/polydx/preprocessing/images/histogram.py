"""Images as features for classical models."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from polydx.preprocessing.images.base import RGB, Batch, ImageStep, Shape

MOST_FEATURES = 32768


class ColourHistogram(ImageStep):
    """Share of an image's pixels in each range of colour: (B, H, W, C) becomes (B, D).

    Args:
        bins: ranges of equal width a channel, from 0 to 1.
        space: `rgb` for the channels as they are (grey too), or `hsv` for hue, saturation and value of RGB images.
        joint: count combinations of the channels' ranges (bins to the power of C features) instead of each channel
            on its own (bins times C).
    """

    in_range = True
    makes_features = True

    def __init__(
        self, bins: Annotated[int, Field(ge=2, le=256)] = 8, space: Literal["rgb", "hsv"] = "rgb", joint: bool = False
    ) -> None:
        self.bins = bins
        self.space = space
        self.joint = joint

    def shape_out(self, shape: Shape) -> Shape:
        """Return the number of features."""
        return (self.bins ** shape[2],) if self.joint else (self.bins * shape[2],)

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether the channels are no colours, or make too many features."""
        if self.space == "hsv" and shape[2] != RGB:
            return [f"hue, saturation and value are those of {RGB} channels, found {shape[2]}: put `to_rgb` before it"]
        if self.shape_out(shape)[0] > MOST_FEATURES:
            return [f"{self.shape_out(shape)[0]} features are too many (at most {MOST_FEATURES}): use fewer bins"]
        return []

    def apply(self, images: Batch) -> Batch:
        """Count (B, H, W, C)."""
        values = hsv(images) if self.space == "hsv" else images
        count, channels = len(values), values.shape[3]
        codes = np.minimum((values * self.bins).astype(np.int64), self.bins - 1).reshape(count, -1, channels)
        features = self.shape_out(images.shape[1:])[0]
        if self.joint:
            codes = codes @ self.bins ** np.arange(channels)[::-1]  # (B, H W)
        else:
            codes = codes + self.bins * np.arange(channels)
        numbered = codes.reshape(count, -1) + features * np.arange(count)[:, None]
        found = np.bincount(numbered.ravel(), minlength=count * features).reshape(count, features)
        return np.asarray(found / (images.shape[1] * images.shape[2]), dtype=np.float32)


def hsv(images: Batch) -> Batch:
    """Return hue, saturation and value, each from 0 to 1, of (..., 3) red, green and blue from 0 to 1.

    Reference: Smith (1978), SIGGRAPH, 12-19.
    """
    value, low = images.max(axis=-1), images.min(axis=-1)
    span = value - low
    saturation = np.divide(span, value, out=np.zeros_like(span), where=value > 0)
    red, green, blue = np.moveaxis(images, -1, 0)
    safe = np.where(span > 0, span, 1.0)
    sector = np.select(
        [red == value, green == value],
        [(green - blue) / safe % 6.0, (blue - red) / safe + 2.0],
        (red - green) / safe + 4.0,
    )
    hue = np.where(span > 0, sector / 6.0, 0.0)
    return np.stack([hue, saturation, value], axis=-1).astype(np.float32)
