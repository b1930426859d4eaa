"""What every augmentation of images is: told the levels of its modality, then drawn anew for every batch."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from polydx.augmentation.base import Augmentation
from polydx.errors import ConfigError


class ImageAugmentation(Augmentation):
    """A random transform of a batch of images; every row draws its own numbers."""

    _levels: Tensor | None = None

    def fit(self, x_train: Tensor, axis: ArrayLike | None = None) -> Self:
        """Learn the scale of the training images.

        Args:
            x_train: (N, C, H, W), as the network will see them.
            axis: (2, C) levels: what black and white are in each channel; 0 and 1 where left out.

        Returns:
            Itself.

        Raises:
            ConfigError: levels of another number of channels.
        """
        channels = x_train.shape[1]
        levels = np.repeat([[0.0], [1.0]], channels, axis=1) if axis is None else np.asarray(axis)
        if levels.shape != (2, channels):
            raise ConfigError(f"levels of images must have shape (2, {channels}), but got {levels.shape}")
        self._levels = torch.from_numpy(levels).to(torch.float32).reshape(2, channels, 1, 1)
        self.learn(x_train)
        return self

    def learn(self, x_train: Tensor) -> None:
        """Learn more than the levels: nothing, for most."""

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform a batch (B, C, H, W) with numbers from `generator`, which lives on the device of `x`.

        Raises:
            ConfigError: `fit` was not called.
        """
        self.levels(x)
        changed = self.apply(x, generator)
        if self.probability == 1.0:
            return changed
        return torch.where(self.chosen(x, generator), changed, x)

    def levels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return black (C, 1, 1) and the way from black to white (C, 1, 1), on the device of `x`.

        Raises:
            ConfigError: `fit` was not called.
        """
        if self._levels is None:
            raise ConfigError(f"{type(self).__name__} must be fitted on the training rows before it is used")
        self._levels = self._levels.to(x.device)
        return self._levels[0], self._levels[1] - self._levels[0]

    def chosen(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw which rows are transformed: (B, 1, 1, 1) bool."""
        return drawn(x, generator, 0.0, 1.0) < self.probability


def drawn(x: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """Draw one number from [low, high) for each row of (B, C, H, W): (B, 1, 1, 1)."""
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device)


def at_least(least: float, value: float, name: str, owner: object) -> float:
    """Return the value of an option, or raise a ConfigError where it is below `least`."""
    if not value >= least:
        raise ConfigError(f"the {name} of {type(owner).__name__} must be at least {least}, but got {value}")
    return value
