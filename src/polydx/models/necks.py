"""Necks: from a feature map (B, D, L') or (B, D, H', W') to one vector a sample."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.options import check_options, known


class Neck(nn.Module):
    """Base of the necks: `out_width` says how long the vector is."""

    def __init__(self, out_width: int) -> None:
        super().__init__()
        self.out_width = out_width

    def plain(self) -> Neck:
        """Return what stands in its place while a backbone is pretrained alone."""
        return self


class Average(Neck):
    """The mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, D, ...) to (B, D)."""
        return x.flatten(2).mean(dim=2)


class Maximum(Neck):
    """The strongest activation over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, D, ...) to (B, D)."""
        return x.flatten(2).amax(dim=2)


class GeneralisedMean(Neck):
    """The generalised mean (mean(x^p))^(1/p) with a learned p: 1 is the average, large p the maximum.

    Reference: Radenovic, Tolias & Chum (2019), IEEE TPAMI 41(7), 1655-1668, equation 3.
    """

    def __init__(self, out_width: int, power: float = 3.0, floor: float = 1e-6) -> None:
        super().__init__(out_width)
        self.power = nn.Parameter(torch.tensor(power))
        self.floor = floor

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, D, ...) to (B, D); activations below `floor` count as `floor`."""
        # At least 1: below it the mean would stress the weakest activations, and at 0 it is undefined.
        power = self.power.clamp(min=1.0)
        return x.flatten(2).clamp(min=self.floor).pow(power).mean(dim=2).pow(1.0 / power)


class AttentionPooling(Neck):
    """A weighted mean over positions; a small network gives each position its weight.

    Reference: Ilse, Tomczak & Welling (2018), ICML, equations 7 and 8.
    """

    def __init__(self, out_width: int, hidden: int = 64) -> None:
        super().__init__(out_width)
        self.score = nn.Sequential(nn.Linear(out_width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def weights(self, x: Tensor) -> Tensor:
        """Return the weight of each position, (B, T), each row summing to 1."""
        tokens = x.flatten(2).transpose(1, 2)  # (B, T, D)
        return torch.softmax(self.score(tokens).squeeze(-1), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, D, ...) to (B, D)."""
        return torch.einsum("bdt,bt->bd", x.flatten(2), self.weights(x))


class Flatten(Neck):
    """All positions side by side; the only neck that fixes the size of the input.

    Args:
        map_shape: (D, L') or (D, H', W').
    """

    def __init__(self, map_shape: tuple[int, ...]) -> None:
        super().__init__(prod(map_shape))
        self.map_shape = tuple(map_shape)

    def forward(self, x: Tensor) -> Tensor:
        """Flatten (B, D, L') to (B, D * L').

        Raises:
            ConfigError: the map has another shape than the neck was built for.
        """
        if tuple(x.shape[1:]) != self.map_shape:
            raise ConfigError(
                f"neck 'flatten' was built for feature maps of {self.map_shape}, but got {tuple(x.shape[1:])}: "
                "resample the input to the training length, or use the neck 'average'"
            )
        return x.flatten(1)


class SingleAttention(nn.Module):
    """Self-attention over a single vector: a linear map, for the softmax of one score is 1.

    Queries and keys would change nothing and have no gradient, so that there are values alone.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, D)."""
        found: Tensor = self.value(x)
        return found


class SelfAttention(Average):
    """The mean over all positions, then self-attention over that one vector: a second stage on a pretrained backbone.

    It belongs to what is fitted after pretraining: a backbone that is pretrained alone ends with the mean.
    """

    def __init__(self, out_width: int) -> None:
        super().__init__(out_width)
        self.attend = SingleAttention(out_width)

    def plain(self) -> Neck:
        """Return the mean alone."""
        return Average(self.out_width)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, D, ...) to (B, D)."""
        found: Tensor = self.attend(super().forward(x))
        return found


NECKS: dict[str, type[Neck]] = {
    "average": Average,
    "max": Maximum,
    "gem": GeneralisedMean,
    "attention": AttentionPooling,
    "flatten": Flatten,
    "self_attention": SelfAttention,
}


def build_neck(name: str, map_shape: tuple[int, ...], **options: Any) -> Neck:
    """Build the neck `name` for feature maps of `map_shape`.

    Args:
        name: a key of `NECKS`.
        map_shape: (D, L') or (D, H', W'), as `Backbone.map_shape` gives it.
        options: `power` for gem, `hidden` for attention.

    Raises:
        ConfigError: the name or an option is unknown, or attention would see a single position.
    """
    known(name, NECKS, "neck")
    check_options(NECKS[name], options, f"neck {name!r}", given=("out_width", "map_shape"))
    if NECKS[name] is AttentionPooling and prod(map_shape[1:]) == 1:
        # The softmax over one position is 1 whatever the weights are.
        raise ConfigError("the neck 'attention' learns nothing from a map of one position; use 'average' or 'flatten'")
    if NECKS[name] is Flatten:
        return Flatten(map_shape)
    return NECKS[name](map_shape[0], **options)
