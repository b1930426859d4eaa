"""Random turns, flips and crops of images (B, C, H, W).

Neighbouring turns and crops are drawn one by one, but the image is interpolated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor
from torch.nn import functional

from polydx.augmentation.image_base import ImageAugmentation, at_least, drawn
from polydx.errors import ConfigError


class Flip(ImageAugmentation):
    """Mirror rows along one direction; `dimension` is that of (B, C, H, W)."""

    dimension = 3

    def __init__(self, *, probability: float = 0.5) -> None:
        super().__init__(probability=probability)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        return x.flip(self.dimension)


class HorizontalFlip(Flip):
    """Swap left and right."""


class VerticalFlip(Flip):
    """Swap top and bottom."""

    dimension = 2


class QuarterTurn(ImageAugmentation):
    """Turn by 0, 90, 180 or 270 degrees; images that are not square by 0 or 180. No pixel changes its value."""

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        square = x.shape[2] == x.shape[3]
        turns = torch.randint(4 if square else 2, (len(x),), generator=generator, device=x.device)
        turns = turns if square else 2 * turns
        found = x.clone()
        for quarter in (1, 2, 3) if square else (2,):
            rows = torch.nonzero(turns == quarter).flatten()
            found[rows] = torch.rot90(x[rows], quarter, (2, 3))
        return found


class Affine(ImageAugmentation):
    """A transform of the plane: pixels are interpolated linearly, and beyond its edges the image is mirrored."""

    def matrices(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw (B, 3, 3): from a place in the new image to that in the old, in pixels from the middle, (x, y, 1)."""
        raise NotImplementedError

    def chances(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw `matrices`, the identity for rows that are not chosen."""
        self.levels(x)
        found = self.matrices(x, generator)
        if self.probability == 1.0:
            return found
        return torch.where(self.chosen(x, generator).flatten(1).unsqueeze(2), found, torch.eye(3, device=x.device))

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform a batch (B, C, H, W); see `ImageAugmentation`."""
        return warped(x, self.chances(x, generator))


class Rotation(Affine):
    """Turn about the middle by at most `amount` degrees in either direction."""

    def __init__(self, amount: float = 20.0, *, probability: float = 1.0) -> None:
        super().__init__(probability=probability)
        self.amount = at_least(0, amount, "amount", self)

    def matrices(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw an angle a row."""
        angle = torch.deg2rad(drawn(x, generator, -self.amount, self.amount).flatten())
        found = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
        found[:, 0, 0] = found[:, 1, 1] = torch.cos(angle)
        found[:, 1, 0] = torch.sin(angle)
        found[:, 0, 1] = -found[:, 1, 0]
        return found


class RandomCrop(Affine):
    """Cut out a rectangle and scale it to the size of the image.

    Args:
        scale: smallest share of the image's area that is kept; the largest is all of it.
        ratio: most that the proportions of the rectangle may differ from the image's, as a factor.
        probability: share of the rows that are cut.

    Reference: Szegedy et al. (2015), CVPR, section 6.
    """

    def __init__(self, scale: float = 0.5, ratio: float = 1.33, *, probability: float = 1.0) -> None:
        super().__init__(probability=probability)
        self.scale = at_least(0, scale, "scale", self)
        self.ratio = at_least(1, ratio, "ratio", self)
        if not 0 < scale <= 1:
            raise ConfigError(f"the scale of RandomCrop must be above 0 and at most 1, but got {scale}")

    def matrices(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw area, proportions and place a row."""
        area = drawn(x, generator, self.scale, 1.0).flatten()
        stretch = torch.exp(drawn(x, generator, -1.0, 1.0).flatten() * 0.5 * float(np.log(self.ratio)))
        across, down = (area.sqrt() * stretch).clamp(max=1.0), (area.sqrt() / stretch).clamp(max=1.0)
        found = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
        found[:, 0, 0], found[:, 1, 1] = across, down
        found[:, 0, 2] = drawn(x, generator, -0.5, 0.5).flatten() * (1.0 - across) * x.shape[3]
        found[:, 1, 2] = drawn(x, generator, -0.5, 0.5).flatten() * (1.0 - down) * x.shape[2]
        return found


class Warp(ImageAugmentation):
    """Several transforms of the plane, one after the other, with one interpolation."""

    def __init__(self, steps: Sequence[Affine]) -> None:
        super().__init__()
        self.steps = tuple(steps)

    def fit(self, x_train: Tensor, axis: ArrayLike | None = None) -> Self:
        """Fit every step; see `ImageAugmentation.fit`."""
        for step in self.steps:
            step.fit(x_train, axis)
        return super().fit(x_train, axis)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        whole = torch.eye(3, device=x.device)
        for step in self.steps:
            # A place in the last image is looked up in the one before, and so on down to the first.
            whole = whole @ step.chances(x, generator)
        return warped(x, whole)


def warped(x: Tensor, matrices: Tensor) -> Tensor:
    """Look up every pixel of (B, C, H, W) where (B, 3, 3) says: from new to old places, in pixels from the middle."""
    half = torch.tensor([x.shape[3] / 2, x.shape[2] / 2, 1.0], device=x.device)
    theta = (matrices * half / half[:, None])[:, :2]  # to coordinates from -1 to 1
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
