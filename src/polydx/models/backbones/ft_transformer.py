"""The feature-tokenising transformer: every column of a table becomes a token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.tokens import TokenLayer

Slices = Sequence[Sequence[int]]
"""(start, stop) of the columns of the matrix that stand for one column of the table."""


class FeatureTokens(nn.Module):
    """A class token, then one token a column: its bias, and each of its values times a vector of its own.

    Of a category as one-hot columns that is an embedding looked up, as published; what tells that a value was missing
    is one more of the column's values.

    Args:
        values: D, columns of the matrix.
        width: of the tokens.
        fields: which columns of the matrix belong to each token; one each where left out.
    """

    owner: Tensor

    def __init__(self, values: int, width: int, fields: Slices | None) -> None:
        super().__init__()
        slices = fields if fields is not None else [(i, i + 1) for i in range(values)]
        owner = [number for number, (start, stop) in enumerate(slices) for _ in range(start, stop)]
        if len(owner) != values:
            raise ConfigError(f"the fields of the table name {len(owner)} columns, but the input has {values}")
        self.register_buffer("owner", torch.tensor(owner), persistent=False)
        reach = width**-0.5
        self.weight = nn.Parameter(torch.empty(values, width).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(len(slices), width).uniform_(-reach, reach))
        self.class_token = nn.Parameter(torch.empty(width).uniform_(-reach, reach))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, W, 1 + F)."""
        tokens = self.bias.expand(x.shape[0], -1, -1).index_add(1, self.owner, x.unsqueeze(2) * self.weight)
        first = self.class_token.expand(x.shape[0], 1, -1)
        return torch.cat([first, tokens.to(first.dtype)], dim=1).transpose(1, 2)


class TableLayer(nn.Module):
    """A layer of the transformer over tokens that stand as a map (B, W, T)."""

    def __init__(self, width: int, heads: int, dropout: float, *, first: bool) -> None:
        super().__init__()
        hidden = width * 4 // 3
        self.layer = TokenLayer(width, heads, dropout, hidden, "reglu", norm_first=not first, residual_dropout=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, W, T) to the same shape."""
        return self.layer(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class ClassToken(nn.Module):
    """The class token, normalised and rectified."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, W, T) to (B, W, 1)."""
        return torch.relu(self.norm(x[:, :, 0])).unsqueeze(2)


def ft_transformer(
    dims: int,
    channels: int,
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    fields: Slices | None = None,
) -> Backbone:
    """Build the feature tokeniser and layers of a transformer over its tokens; stage i is layer i.

    Args:
        dims: 0, for a table.
        channels: D, columns of the matrix.
        width: of the tokens, a multiple of `heads`.
        layers: of the transformer.
        heads: of the attention.
        dropout: probability of dropping an attention weight or a hidden value, in training.
        fields: (start, stop) of the columns of the matrix that make a token; one each where left out.

    Raises:
        ConfigError: a width that does not divide, no layer, or fields that are not those of the matrix.

    Reference: Gorishniy et al. (2021), NeurIPS, section 3.3: pre-norm without the first norm, ReGLU of width 4/3.
    """
    if layers < 1 or width < 1:
        raise ConfigError(f"the ft_transformer needs a layer and a width, but got layers={layers}, width={width}")
    stages: dict[str, nn.Module] = {"stem": FeatureTokens(channels, width, fields)}
    for number in range(1, layers + 1):
        parts = OrderedDict[str, nn.Module](encoder=TableLayer(width, heads, dropout, first=number == 1))
        if number == layers:
            parts["readout"] = ClassToken(width)
        stages[f"stage{number}"] = nn.Sequential(parts)
    return Backbone(dims=dims, channels=channels, stages=stages, widths=dict.fromkeys(stages, width))
