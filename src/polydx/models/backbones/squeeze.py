"""A squeeze-and-excitation block, as a last stage of its own behind a published network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError

SQUEEZE = "squeeze"
"""Name of the stage; published weights lack it."""


class SqueezeExcitation(nn.Module):
    """Weigh each channel by a gate that a small perceptron computes from the means of all channels.

    Args:
        width: C, the channels of the map.
        reduction: the hidden layer has C / reduction units.

    Reference: Hu, Shen & Sun (2018), CVPR, equations 2 to 4.
    """

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(width, max(1, width // reduction))
        self.expand = nn.Linear(self.reduce.out_features, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, ...) to the same shape."""
        hidden = torch.relu(self.reduce(x.flatten(2).mean(dim=2)))
        gate = torch.sigmoid(self.expand(hidden))  # (B, C)
        return x * gate.reshape(*gate.shape, *(1,) * (x.ndim - 2))


def add_squeeze(stages: dict[str, nn.Module], widths: dict[str, int], reduction: int | None) -> None:
    """Add, in place, a squeeze-and-excitation block as the last stage; nothing where `reduction` is None.

    Raises:
        ConfigError: a reduction below 1.
    """
    if reduction is None:
        return
    if reduction < 1:
        raise ConfigError(f"`squeeze` divides the channels, so it must be at least 1, but got {reduction}")
    width = widths[list(stages)[-1]]
    stages[SQUEEZE], widths[SQUEEZE] = SqueezeExcitation(width, reduction), width
