"""A small transformer encoder over patches of a spectrum or an image."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.layers import CONV, Dims


class PatchEmbedding(nn.Module):
    """Cut the input into patches, map each to a token, and add where it lies."""

    def __init__(self, dims: Dims, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.conv = CONV[dims](channels, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, D, L / patch), or (B, C, H, W) to (B, D, H / patch, W / patch)."""
        tokens: Tensor = self.conv(x)
        return tokens + positions(tuple(tokens.shape[2:]), tokens.shape[1]).to(tokens)


class EncoderLayer(nn.Module):
    """Self-attention and a two-layer perceptron over the tokens of a map, which keeps its shape."""

    def __init__(self, width: int, heads: int, dropout: float, *, last: bool) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width) if last else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, ...) to the same shape."""
        tokens = x.flatten(2).transpose(1, 2)  # (B, T, D)
        return self.norm(self.layer(tokens)).transpose(1, 2).reshape(x.shape)  # type: ignore[no-any-return]


def positions(shape: Sequence[int], width: int) -> Tensor:
    """Return sinusoidal positions (D, T), or (D, H, W) with half the channels for rows and half for columns.

    Reference: Vaswani et al. (2017), NeurIPS, section 3.5.
    """
    if len(shape) == 1:
        return _sinusoids(shape[0], width)
    rows, columns = _sinusoids(shape[0], width // 2), _sinusoids(shape[1], width // 2)
    return torch.cat(
        [rows[:, :, None].expand(-1, -1, shape[1]), columns[:, None, :].expand(-1, shape[0], -1)]
    )  # (D, H, W)


def _sinusoids(length: int, width: int) -> Tensor:
    rates = torch.exp(torch.arange(0, width, 2) * (-log(10_000.0) / width))  # (D/2,)
    angles = rates[:, None] * torch.arange(length)[None, :]
    return torch.stack([angles.sin(), angles.cos()], dim=1).flatten(0, 1)  # (D, T)


def transformer(
    dims: Dims,
    channels: int,
    *,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    patch: int = 16,
    dropout: float = 0.1,
) -> Backbone:
    """Build a strided convolution to tokens and encoder layers over them; stage i is layer i.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        width: channels of a token, a multiple of `heads` and of 4.
        layers: encoder layers.
        heads: of the attention.
        patch: points of a patch (a side, for images).
        dropout: probability of dropping a value, in training.

    Raises:
        ConfigError: a width that does not divide, or no layer.
    """
    if layers < 1 or patch < 1 or heads < 1 or width % heads or width % 4:
        raise ConfigError(
            f"the transformer needs a layer, a patch of at least 1, and a width that `heads` and 4 divide, "
            f"but got layers={layers}, patch={patch}, width={width}, heads={heads}"
        )
    stages: dict[str, nn.Module] = {"stem": PatchEmbedding(dims, channels, width, patch)}
    for number in range(1, layers + 1):
        stages[f"stage{number}"] = EncoderLayer(width, heads, dropout, last=number == layers)
    return Backbone(dims=dims, channels=channels, stages=stages, widths=dict.fromkeys(stages, width))
