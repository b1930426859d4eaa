"""The vision transformer, with a class token and learned positions; weights published for torchvision load by name.

Written here because MONAI's takes images of one size only and cannot be cut between its layers.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.layers import CONV, Dims
from polydx.models.options import known

Output: TypeAlias = Literal["class", "patches"]

OLDER = {r"\.mlp\.linear_1\.": ".mlp.0.", r"\.mlp\.linear_2\.": ".mlp.3."}
"""Names in the first published files -> names since."""

PARTS = {
    "layer.norm1": "ln_1",
    "layer.self_attn": "self_attention",
    "layer.norm2": "ln_2",
    "layer.linear1": "mlp.0",
    "layer.linear2": "mlp.3",
}
"""Parts of an encoder layer of torch -> their names in torchvision's."""

EPSILON = 1e-6
"""Of the layer norms, as published."""


class Tokens(nn.Module):
    """Cut the input into patches, map each to a token, put a class token before them, and add learned positions."""

    def __init__(self, dims: Dims, channels: int, width: int, patch: int, points: int, dropout: float) -> None:
        super().__init__()
        self.grid = (points // patch,) * dims
        self.conv = CONV[dims](channels, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 1 + (points // patch) ** dims, width) * 0.02)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) or (B, C, H, W) to (B, D, 1 + T): the class token, then the T patches row by row."""
        patches: Tensor = self.conv(x)  # (B, D, L / patch) or (B, D, H / patch, W / patch)
        first = self.class_token.transpose(1, 2).expand(x.shape[0], -1, -1)  # (B, D, 1)
        tokens = torch.cat([first, patches.flatten(2)], dim=2)
        return self.dropout(tokens + self.positions_on(tuple(patches.shape[2:])))  # type: ignore[no-any-return]

    def positions_on(self, grid: tuple[int, ...]) -> Tensor:
        """Return the positions (1, D, 1 + T) for a grid of patches, interpolated where it is not the learned one."""
        positions = self.positions.transpose(1, 2)  # (1, D, 1 + T)
        if grid == self.grid:
            return positions
        learned = positions[:, :, 1:].reshape(1, -1, *self.grid)
        mode = "linear" if len(grid) == 1 else "bicubic"
        return torch.cat([positions[:, :, :1], functional.interpolate(learned, grid, mode=mode).flatten(2)], dim=2)


class EncoderLayer(nn.Module):
    """Self-attention and a perceptron over the tokens of (B, D, 1 + T)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, "gelu", EPSILON, batch_first=True, norm_first=True
        )
        for linear in (self.layer.linear1, self.layer.linear2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, 1 + T) to the same shape."""
        return self.layer(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class Readout(nn.Module):
    """Normalise the tokens, and keep the class token or the patches."""

    def __init__(self, width: int, output: Output) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, EPSILON)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, 1 + T) to (B, D, 1), the class token, or to (B, D, T), the patches."""
        tokens: Tensor = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return tokens[:, :, :1] if self.output == "class" else tokens[:, :, 1:]


def vit(
    dims: Dims,
    channels: int,
    *,
    width: int = 768,
    layers: int = 12,
    heads: int = 12,
    patch: int = 16,
    points: int = 224,
    dropout: float = 0.0,
    output: Output = "class",
) -> Backbone:
    """Build a vision transformer (the defaults are ViT-B/16); stage i is encoder layer i, on maps of 1 + T tokens.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        width: channels of a token, a multiple of `heads`.
        layers: encoder layers.
        heads: of the attention.
        patch: points of a patch (a side, for images).
        points: of the input (a side, for images) that the positions are learned for; for others they are interpolated.
        dropout: probability of dropping a value, in training.
        output: what leaves the last stage: the `class` token, a map of one position, or the `patches`.

    Raises:
        ConfigError: an unknown output, a width that does not divide, no layer, or no patch.

    Reference: Dosovitskiy et al. (2021), ICLR.
    """
    known(output, get_args(Output), "output of the vit")
    if layers < 1 or heads < 1 or width % heads or not 1 <= patch <= points:
        raise ConfigError(
            f"the vit needs a layer, a patch from 1 to `points`, and a width that `heads` divides, "
            f"but got layers={layers}, patch={patch}, points={points}, width={width}, heads={heads}"
        )
    stages: dict[str, nn.Module] = {"stem": Tokens(dims, channels, width, patch, points, dropout)}
    for number in range(1, layers + 1):
        parts = OrderedDict[str, nn.Module](encoder=EncoderLayer(width, heads, dropout))
        if number == layers:
            parts["readout"] = Readout(width, output)
        stages[f"stage{number}"] = nn.Sequential(parts)
    widths = dict.fromkeys(stages, width)
    return Backbone(
        dims=dims, channels=channels, stages=stages, widths=widths, published=_published(layers), older=OLDER
    )


def _published(layers: int) -> dict[str, str]:
    names = {
        f"stage{number}.encoder.{own}": f"encoder.layers.encoder_layer_{number - 1}.{theirs}"
        for number in range(1, layers + 1)
        for own, theirs in PARTS.items()
    }
    stem = {"conv": "conv_proj", "class_token": "class_token", "positions": "encoder.pos_embedding"}
    return {f"stage{layers}.readout.norm": "encoder.ln", **names, **{f"stem.{k}": v for k, v in stem.items()}}
