"""Channels and their scale."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.errors import ImageError, Problem
from polydx.preprocessing.images.base import GREY, RGB, Batch, Batches, ImageStep, Shape

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness an eye sees: ITU-R BT.601."""
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the training images of ImageNet, red, green, blue: what published weights expect."""


class ToGrey(ImageStep):
    """Reduce colour to brightness (ITU-R BT.601); grey images stay, and transparency goes. No parameters."""

    def shape_out(self, shape: Shape) -> Shape:
        """Return the size with one channel."""
        return (*shape[:2], GREY)

    def apply(self, images: Batch) -> Batch:
        """Reduce (B, H, W, C) to (B, H, W, 1)."""
        if images.shape[3] < RGB:
            return images[..., :GREY]
        return images[..., :RGB] @ np.array(LUMA, dtype=np.float32)[:, None]


class ToRGB(ImageStep):
    """Give every image three channels: grey is repeated, and transparency goes. No parameters."""

    def shape_out(self, shape: Shape) -> Shape:
        """Return the size with three channels."""
        return (*shape[:2], RGB)

    def apply(self, images: Batch) -> Batch:
        """Bring (B, H, W, C) to (B, H, W, 3)."""
        if images.shape[3] < RGB:
            return np.repeat(images[..., :GREY], RGB, axis=3)
        return images[..., :RGB]


class Rescale(ImageStep):
    """Map a range of values onto 0 to 1 and clip the rest: a window of a CT, or the few levels an image uses.

    Args:
        low: what becomes 0; the lowest value of each image if left out.
        high: what becomes 1; the highest value of each image if left out.
        clip: share of each image's pixels, on either side, that may lie beyond ends that are left out.
    """

    def __init__(
        self, low: float | None = None, high: float | None = None, clip: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    ) -> None:
        self.low = low
        self.high = high
        self.clip = clip

    def problems(self) -> list[Problem]:
        """Return whether the ends are in the wrong order."""
        if self.low is None or self.high is None or self.low < self.high:
            return []
        return [Problem("rescale.high", f"expected more than low ({self.low}), found {self.high}")]

    def apply(self, images: Batch) -> Batch:
        """Map (B, H, W, C); an image of one value becomes black."""
        ends = np.quantile(images, (self.clip, 1.0 - self.clip), axis=(1, 2, 3), keepdims=True)
        low = ends[0] if self.low is None else np.full_like(ends[0], self.low)
        high = ends[1] if self.high is None else np.full_like(ends[1], self.high)
        span = np.where(high > low, high - low, 1.0)
        return np.asarray(np.clip((images - low) / span, 0.0, 1.0), dtype=np.float32)


class Normalise(ImageStep):
    """Give each channel mean 0 and standard deviation 1 over all pixels of the training images.

    After a step that makes features, (B, D), each feature over all training images.

    Args:
        constants: `training`, or `imagenet` for those that published weights expect (three channels from 0 to 1).
    """

    fitted: ClassVar[tuple[str, ...]] = ("mean_", "sd_")
    takes_features = True
    mean_: NDArray[np.float64]
    sd_: NDArray[np.float64]

    def __init__(self, constants: Literal["training", "imagenet"] = "training") -> None:
        self.constants = constants

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether there are constants for so many channels."""
        if self.constants == "imagenet" and len(shape) == 1:
            return ["the constants of ImageNet are for pixels, not for features: use `constants: training`"]
        if self.constants == "imagenet" and shape[2] != RGB:
            return [f"the constants of ImageNet are for {RGB} channels, found {shape[2]}: put `to_rgb` before it"]
        return []

    def learn(self, batches: Batches) -> None:
        """Learn mean and standard deviation of each channel or feature; a constant one is centred only."""
        if self.constants == "imagenet":
            self.mean_, self.sd_ = np.array(IMAGENET_MEAN), np.array(IMAGENET_SD)
            return
        count = 0
        total: NDArray[np.float64] = np.zeros(1)
        squares: NDArray[np.float64] = np.zeros(1)
        for images in batches():
            values = images.reshape(-1, images.shape[-1]).astype(np.float64)
            count += len(values)
            total = total + values.sum(axis=0)
            squares = squares + np.square(values).sum(axis=0)
        self.mean_ = total / count
        variance = squares / count - np.square(self.mean_)
        self.sd_ = np.asarray(np.sqrt(np.where(variance > 1e-12 * np.square(self.mean_), variance, 1.0)))

    def apply(self, images: Batch) -> Batch:
        """Normalise (B, H, W, C) or (B, D).

        Raises:
            ImageError: another number of channels or features than was learnt.
        """
        if images.shape[-1] != len(self.mean_):
            what = f"learnt from {len(self.mean_)} channels, images have {images.shape[-1]}"
            raise ImageError(f"Normalise {what}: bring them to the same by `to_rgb` or `to_grey`")
        mean, sd = self.mean_.astype(np.float32), self.sd_.astype(np.float32)
        return np.asarray((images - mean) / sd)
