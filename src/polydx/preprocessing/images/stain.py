"""One staining for all images of stained tissue or blood."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.errors import ImageError
from polydx.preprocessing.images.base import RGB, Batch, Batches, ImageStep, Shape

DARKEST = 1.0 / 255.0
LEAST_PIXELS = 64
PIXELS_EACH = 1000
"""Stained pixels of a training image that enter the reference, evenly spaced."""

Floats = NDArray[np.float64]


class StainNormalise(ImageStep):
    """Give all images the two stains, and the amounts of them, that the training images have on the whole.

    The stains are the directions at the edges of the fan that the pixels span in optical density. An image with hardly
    any stained pixel stays as it is.

    Args:
        percentile: share, in percent, of pixels beyond the edges of the fan, and of amounts beyond the most.
        least: optical density below which, in any channel, a pixel is background.

    Reference: Macenko et al. (2009), ISBI, 1107-1110.
    """

    in_range = True
    fitted: ClassVar[tuple[str, ...]] = ("stains_", "most_")
    stains_: Floats
    most_: Floats

    def __init__(
        self, percentile: Annotated[float, Field(gt=0, lt=50)] = 1.0, least: Annotated[float, Field(gt=0)] = 0.15
    ) -> None:
        self.percentile = percentile
        self.least = least

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether the images are not RGB."""
        return [] if shape[2] == RGB else [f"takes RGB images, found {shape[2]} channels: put `to_rgb` before it"]

    def learn(self, batches: Batches) -> None:
        """Learn stains and amounts of the stained pixels of all training images together."""
        pooled = [self._some(image) for images in batches() for image in images]
        found = self._stains(np.vstack(pooled))
        if found is None:
            raise ImageError("StainNormalise: hardly a pixel of the training images is stained: leave the step out")
        self.stains_, self.most_ = found

    def _some(self, image: NDArray[np.float32]) -> Floats:
        stained = self._stained(density(image))
        return stained[:: max(1, len(stained) // PIXELS_EACH)]

    def _stained(self, densities: Floats) -> Floats:
        return densities[(densities > self.least).all(axis=1)]

    def _stains(self, stained: Floats) -> tuple[Floats, Floats] | None:
        """Return (2, 3) directions of length 1, the redder-absorbing first, and (2,) the most of each; None of few."""
        if len(stained) < LEAST_PIXELS:
            return None
        _, vectors = np.linalg.eigh(np.cov(stained.T))
        plane = vectors[:, [2, 1]]  # (3, 2): the two directions of largest variance
        plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
        angles = np.arctan2(*(stained @ plane).T[::-1])
        edges = np.percentile(angles, [self.percentile, 100.0 - self.percentile])
        if edges[1] - edges[0] < 1e-6:
            return None
        stains = np.stack([np.cos(edges), np.sin(edges)], axis=1) @ plane.T  # (2, 3)
        stains = stains[np.argsort(-stains[:, 0], kind="stable")]
        return stains, np.percentile(amounts(stained, stains), 100.0 - self.percentile, axis=0)

    def apply(self, images: Batch) -> Batch:
        """Restain (B, H, W, 3)."""
        found = images.copy()
        for i, image in enumerate(images):
            densities = density(image)
            own = self._stains(self._stained(densities))
            if own is not None and (own[1] > 0).all():
                given = amounts(densities, own[0]) * (self.most_ / own[1])
                found[i] = np.clip(np.exp(-given @ self.stains_), 0.0, 1.0).reshape(image.shape)
        return found


def density(image: NDArray[np.float32]) -> Floats:
    """Return the optical density (H W, 3) of an image (H, W, 3): -ln of the light let through."""
    return -np.log(np.maximum(image.reshape(-1, RGB).astype(np.float64), DARKEST))


def amounts(densities: Floats, stains: Floats) -> Floats:
    """Return (n, 2) amounts of the stains (2, 3) that explain the densities (n, 3) best (least squares)."""
    return densities @ np.linalg.pinv(stains)
