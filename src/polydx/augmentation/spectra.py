"""Random disturbances that spectrometers and samples bring, for batches of spectra (B, C, L).

The sizes of additive disturbances count in standard deviations of the training set, over all rows and points.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from polydx.augmentation.base import Augmentation, uniform
from polydx.errors import ConfigError


class Sized(Augmentation):
    """An augmentation of one size, `amount`, of at least 0; the default is the class's."""

    default = 0.1

    def __init__(self, amount: float | None = None, *, probability: float = 1.0) -> None:
        super().__init__(probability=probability)
        self.amount = self.default if amount is None else amount
        if not self.amount >= 0:
            raise ConfigError(f"the amount of {type(self).__name__} must be at least 0, but got {amount}")

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw from -amount to amount for each row: (B, 1, 1)."""
        return uniform(x, generator, -self.amount, self.amount)


class Offset(Sized):
    """Add a constant of at most `amount` standard deviations.

    Reference: Bjerrum, Glahder & Skov (2017), arXiv:1710.01927.
    """

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        return x + self.draw(x, generator) * self.sd


class Scale(Sized):
    """Multiply by 1 - amount to 1 + amount.

    Reference: Bjerrum, Glahder & Skov (2017), arXiv:1710.01927.
    """

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        return x * (1.0 + self.draw(x, generator))


class Noise(Sized):
    """Add Gaussian noise whose standard deviation is at most `amount` of the training set's; each row draws its own."""

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        size = uniform(x, generator, 0.0, self.amount) * self.sd
        return x + size * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


class Slope(Sized):
    """Add a straight line from -s to s over the axis, s at most `amount` standard deviations."""

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        return x + self.draw(x, generator) * self.sd * relative(self.axis)


class Curvature(Sized):
    """Add a parabola over the axis (the second Legendre polynomial), at most `amount` standard deviations high."""

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        return x + self.draw(x, generator) * self.sd * (1.5 * relative(self.axis) ** 2 - 0.5)


class Shift(Sized):
    """Move the spectrum along the axis by at most `amount` cm^-1; linear interpolation, edge values repeat."""

    default = 2.0

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        axis = self.axis
        return sample_at(x, axis, axis - self.draw(x, generator).flatten(1))


class Stretch(Sized):
    """Stretch the axis about its middle by a factor of 1 - amount to 1 + amount."""

    default = 0.002

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        axis = self.axis
        middle = (axis[0] + axis[-1]) / 2
        return sample_at(x, axis, middle + (axis - middle) / (1.0 + self.draw(x, generator).flatten(1)))


class Smoothing(Sized):
    """Blur with a Gaussian whose standard deviation is at most `amount` cm^-1; edge values repeat."""

    default = 4.0

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        axis = self.axis
        spacing = float((axis[-1] - axis[0]) / max(1, len(axis) - 1)) or 1.0
        reach = max(1, round(3 * self.amount / spacing))
        widths = uniform(x, generator, 0.0, self.amount).flatten(1).clamp(min=1e-3 * spacing)  # (B, 1)
        steps = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype) * spacing
        kernels = torch.softmax(-0.5 * (steps / widths) ** 2, dim=1)  # (B, 2 reach + 1)
        padded = functional.pad(x, (reach, reach), mode="replicate").transpose(0, 1)  # (C, B, L + 2 reach)
        # Rows as groups: each is convolved with its own kernel.
        return functional.conv1d(padded, kernels.unsqueeze(1), groups=len(x)).transpose(0, 1)


class BandMask(Sized):
    """Replace a random band of `amount` cm^-1 by the straight line between its ends."""

    default = 50.0

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        axis = self.axis
        start = uniform(x, generator, float(axis[0]), max(float(axis[-1]) - self.amount, float(axis[0]))).flatten(1)
        inside = (axis >= start) & (axis <= start + self.amount)  # (B, L)
        ends = torch.cat([start, start + self.amount], dim=1).clamp(max=float(axis[-1]))  # (B, 2)
        left, right = sample_at(x, axis, ends).unsqueeze(-2).unbind(-1)  # each (B, C, 1)
        share = ((axis - start) / max(self.amount, 1e-12)).clamp(0.0, 1.0).unsqueeze(1)  # (B, 1, L)
        return torch.where(inside.unsqueeze(1), left + (right - left) * share, x)


class Cosmic(Sized):
    """Add a cosmic-ray spike of one point, at most `amount` standard deviations high, at a random place."""

    default = 5.0

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row."""
        places = torch.randint(x.shape[-1], (len(x), 1, 1), generator=generator, device=x.device)
        heights = uniform(x, generator, 0.0, self.amount) * self.sd
        spikes = torch.zeros_like(x).scatter_(2, places.expand(-1, x.shape[1], -1), heights.expand(-1, x.shape[1], -1))
        return x + spikes


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "offset": Offset,
    "scale": Scale,
    "noise": Noise,
    "slope": Slope,
    "curvature": Curvature,
    "shift": Shift,
    "stretch": Stretch,
    "smoothing": Smoothing,
    "band_mask": BandMask,
    "cosmic": Cosmic,
}


def relative(axis: Tensor) -> Tensor:
    """Map an axis (L,) linearly onto -1 to 1."""
    span = (axis[-1] - axis[0]).clamp(min=1e-12)
    return 2.0 * (axis - axis[0]) / span - 1.0


def sample_at(x: Tensor, axis: Tensor, where: Tensor) -> Tensor:
    """Interpolate (B, C, L) spectra on `axis` (L,) linearly at `where` (B, M); beyond the ends, the end's value.

    Returns:
        (B, C, M).
    """
    if len(axis) == 1:
        return x.expand(-1, -1, where.shape[1])
    right = torch.searchsorted(axis, where.contiguous()).clamp(1, len(axis) - 1)  # (B, M)
    low, high = axis[right - 1], axis[right]
    share = ((where - low) / (high - low)).clamp(0.0, 1.0).unsqueeze(1).to(x.dtype)  # (B, 1, M)
    index = right.unsqueeze(1).expand(-1, x.shape[1], -1)
    below, above = x.gather(2, index - 1), x.gather(2, index)
    return below + (above - below) * share
