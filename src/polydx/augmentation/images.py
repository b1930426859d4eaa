"""Random disturbances of images that leave the diagnosis as it is, for batches (B, C, H, W).

Amounts of colour count in parts of the way from black to white, which `fit` is told as levels: images may be normalised
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from polydx.augmentation.base import Augmentation, Chain, NamedStep, build_chain
from polydx.augmentation.image_base import ImageAugmentation, at_least, drawn
from polydx.augmentation.plane import Affine, HorizontalFlip, QuarterTurn, RandomCrop, Rotation, VerticalFlip, Warp
from polydx.errors import ConfigError

TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""Red, green, blue to brightness and two axes of colour: the NTSC standard of 1953."""


class ColourJitter(ImageAugmentation):
    """Change brightness, contrast, saturation and hue, in that order; saturation and hue of RGB images only.

    Brightness multiplies; contrast stretches about the mean brightness of the image; saturation stretches away from
    grey; hue turns the colours about grey (a rotation in YIQ, which keeps the brightness).

    Args:
        brightness: factors from 1 - brightness to 1 + brightness.
        contrast: the same.
        saturation: the same.
        hue: at most so many turns of the colour circle in either direction, up to 0.5.
        probability: share of the rows that are changed.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        *,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability=probability)
        self.brightness = at_least(0, brightness, "brightness", self)
        self.contrast = at_least(0, contrast, "contrast", self)
        self.saturation = at_least(0, saturation, "saturation", self)
        self.hue = at_least(0, hue, "hue", self)

    def learn(self, x_train: Tensor) -> None:
        """Learn how dark and bright each channel may become: as the levels, and as the training images are."""
        black, span = self.levels(x_train)
        self.low = torch.minimum(x_train.amin(dim=(0, 2, 3)).reshape(-1, 1, 1), black)
        self.high = torch.maximum(x_train.amax(dim=(0, 2, 3)).reshape(-1, 1, 1), black + span)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row: one matrix for its colours, and one number to add to all."""
        brightness, contrast, saturation = (
            drawn(x, generator, max(0.0, 1.0 - amount), 1.0 + amount).flatten(1).unsqueeze(2)
            for amount in (self.brightness, self.contrast, self.saturation)
        )
        angle = drawn(x, generator, -self.hue, self.hue).flatten() * 2.0 * torch.pi
        black, span = self.levels(x)
        pixels = ((x - black) / span).flatten(2)  # (B, C, H W), from 0 to 1
        colour = x.shape[1] == 3
        grey = torch.tensor(TO_YIQ[0], device=x.device) if colour else torch.full_like(pixels[0, :, 0], 1 / x.shape[1])
        mean = brightness * (grey @ pixels).mean(dim=1).reshape(-1, 1, 1)
        if colour:
            matrix = brightness * contrast * (_hue_turns(angle) @ _saturations(saturation, grey))
            pixels = matrix @ pixels
        else:
            pixels = brightness * contrast * pixels
        # Grey is left as it is by saturation and hue, so the mean may be added after them.
        changed = (pixels + (1.0 - contrast) * mean).reshape(x.shape) * span + black
        return torch.minimum(torch.maximum(changed, self.low.to(x.device)), self.high.to(x.device))


class Grey(ImageAugmentation):
    """Take the colour out of RGB images; others stay."""

    def __init__(self, *, probability: float = 0.2) -> None:
        super().__init__(probability=probability)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        if x.shape[1] != 3:
            return x
        weights = torch.tensor(TO_YIQ[0], device=x.device).reshape(3, 1, 1)
        black, span = self.levels(x)
        brightness = (weights * (x - black) / span).sum(dim=1, keepdim=True)
        return brightness * span + black


class Blur(ImageAugmentation):
    """Blur with a Gaussian whose standard deviation is at most `amount` pixels; edge values repeat."""

    def __init__(self, amount: float = 2.0, *, probability: float = 1.0) -> None:
        super().__init__(probability=probability)
        self.amount = at_least(0, amount, "amount", self)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row: first down, then across."""
        reach = max(1, round(2.5 * self.amount))
        widths = drawn(x, generator, 0.0, self.amount).clamp(min=1e-3)  # (B, 1, 1, 1)
        steps = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
        kernels = torch.softmax(-0.5 * (steps / widths) ** 2, dim=3)  # (B, 1, 1, 2 reach + 1)
        for dimension, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
            padded = functional.pad(x, pad, mode="replicate")
            size = x.shape[dimension]
            x = torch.zeros_like(x)
            for i in range(2 * reach + 1):
                x.addcmul_(padded.narrow(dimension, i, size), kernels[..., i : i + 1])
        return x


class PixelNoise(ImageAugmentation):
    """Add Gaussian noise whose standard deviation is at most `amount` of the way from black to white."""

    def __init__(self, amount: float = 0.05, *, probability: float = 1.0) -> None:
        super().__init__(probability=probability)
        self.amount = at_least(0, amount, "amount", self)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        size = drawn(x, generator, 0.0, self.amount) * self.levels(x)[1]
        return x + size * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


class Erasing(ImageAugmentation):
    """Paint a rectangle of at most `amount` of the area, of any proportions up to 1 : 3, with the mean training pixel.

    Reference: Zhong et al. (2020), AAAI; DeVries & Taylor (2017), arXiv:1708.04552.
    """

    def __init__(self, amount: float = 0.2, *, probability: float = 0.5) -> None:
        super().__init__(probability=probability)
        self.amount = at_least(0, amount, "amount", self)
        if amount > 1:
            raise ConfigError(f"the amount of Erasing must be at most 1, but got {amount}")

    def learn(self, x_train: Tensor) -> None:
        """Learn the mean of each channel."""
        self.mean = x_train.mean(dim=(0, 2, 3), dtype=torch.float64).to(torch.float32).reshape(-1, 1, 1)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        side = drawn(x, generator, 0.0, self.amount).sqrt()
        stretch = torch.exp(drawn(x, generator, -0.5, 0.5) * float(np.log(3.0)))
        inside = torch.ones((), dtype=torch.bool, device=x.device)
        for size, share, shape in (
            (x.shape[2], (side * stretch).clamp(max=1.0), (1, 1, -1, 1)),
            (x.shape[3], (side / stretch).clamp(max=1.0), (1, 1, 1, -1)),
        ):
            places = ((torch.arange(size, device=x.device) + 0.5) / size).reshape(shape)
            start = drawn(x, generator, 0.0, 1.0) * (1.0 - share)
            inside = inside & (places >= start) & (places < start + share)
        return torch.where(inside, self.mean.to(x.device), x)


IMAGE_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "horizontal_flip": HorizontalFlip,
    "vertical_flip": VerticalFlip,
    "quarter_turn": QuarterTurn,
    "rotation": Rotation,
    "random_crop": RandomCrop,
    "colour_jitter": ColourJitter,
    "grey": Grey,
    "blur": Blur,
    "pixel_noise": PixelNoise,
    "erasing": Erasing,
}


def build_image_chain(steps: Sequence[NamedStep]) -> Chain:
    """Build augmentations of images by name; neighbours that transform the plane share one interpolation.

    Raises:
        ConfigError: an unknown name or option, or an impossible value; all are listed.
    """
    merged: list[Augmentation] = []
    for plane, run in groupby(build_chain(steps, IMAGE_AUGMENTATIONS).steps, lambda step: isinstance(step, Affine)):
        found = list(run)
        affine = [step for step in found if isinstance(step, Affine)]
        merged += [Warp(affine)] if plane and len(affine) > 1 else found
    return Chain(merged)


def _saturations(factor: Tensor, grey: Tensor) -> Tensor:
    """Return (B, 3, 3) from factors (B, 1, 1): colours stretched away from the grey of their brightness."""
    return factor * torch.eye(3, device=factor.device) + (1.0 - factor) * grey.expand(3, 3)


def _hue_turns(angle: Tensor) -> Tensor:
    """Return (B, 3, 3) from angles (B,) in radians: a rotation of the two axes of colour."""
    to = torch.tensor(TO_YIQ, device=angle.device)
    turn = torch.zeros(len(angle), 3, 3, device=angle.device)
    turn[:, 0, 0] = 1.0
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angle)
    turn[:, 2, 1] = torch.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    found: Tensor = torch.linalg.inv(to) @ turn @ to
    return found
