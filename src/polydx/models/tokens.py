"""Self-attention over a few tokens, with a mask for those that are missing, and its weights where asked for."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from polydx.errors import ConfigError

Perceptron: TypeAlias = Literal["gelu", "reglu"]


class TokenLayer(nn.Module):
    """A pre-norm layer of a transformer: attention, then a perceptron, each added to what came in.

    With `gelu` it computes what `torch.nn.TransformerEncoderLayer(norm_first=True)` does; written out because that one
    hides its attention weights and changes its arithmetic in evaluation.

    Args:
        width: D, of a token; a multiple of `heads`.
        heads: of the attention.
        dropout: probability of dropping an attention weight or a value of the perceptron.
        hidden: width of the perceptron; 4 D where left out.
        perceptron: `gelu`, or `reglu` (Shazeer 2020, arXiv:2002.05202, equation 6).
        norm_first: whether tokens are normalised before the attention too.
        residual_dropout: probability of dropping a value of what is added; `dropout` where left out.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        hidden: int | None = None,
        perceptron: Perceptron = "gelu",
        *,
        norm_first: bool = True,
        residual_dropout: float | None = None,
    ) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError(f"the width of tokens must be a multiple of `heads`, but got {width} and {heads}")
        hidden = hidden or 4 * width
        self.heads, self.dropout, self.perceptron = heads, dropout, perceptron
        self.residual_dropout = dropout if residual_dropout is None else residual_dropout
        self.norm1 = nn.LayerNorm(width) if norm_first else nn.Identity()
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden * (2 if perceptron == "reglu" else 1))
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Map tokens (B, T, D) to the same shape; none looks at those outside the bool mask (B, T)."""
        return self.attend(x, present)[0]

    def attend(self, x: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the tokens (B, T, D), and (B, T, T) how much each looked at each other, the mean over heads."""
        batch, count, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, heads, T, D / heads) each
        scores = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5
        if present is not None:
            scores = scores.masked_fill(~present[:, None, None, :], -torch.inf)
        weights = torch.softmax(scores, dim=3)
        mixed = functional.dropout(weights, self.dropout, self.training) @ value
        x = x + self._dropped(self.project(mixed.transpose(1, 2).reshape(batch, count, width)))
        hidden = functional.dropout(self._activated(self.norm2(x)), self.dropout, self.training)
        return x + self._dropped(self.down(hidden)), weights.mean(dim=1)

    def _activated(self, x: Tensor) -> Tensor:
        up: Tensor = self.up(x)
        if self.perceptron == "gelu":
            return functional.gelu(up)
        one, gate = up.chunk(2, dim=2)
        return one * functional.relu(gate)

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.residual_dropout, self.training)
