"""Tokens of all modalities in one transformer, read out at a token of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.fusion.base import Fusion
from polydx.models.tokens import TokenLayer


class Attention(Fusion):
    """One token a modality (and one a region, if asked), a class token before them, self-attention over what is there.

    Each modality is projected to a common width by a linear map of its own and told apart by a learned embedding. No
    token looks at a missing one, and the class token's last value is the embedding.

    Args:
        widths: modality -> width of its vector.
        width: of the tokens, a multiple of `heads`.
        layers: of the transformer.
        heads: of the attention.
        dropout: probability of dropping a value, in training.
        regions: whether the positions of each modality's map become tokens beside its vector.

    Reference: Vaswani et al. (2017), NeurIPS, with the class token of Devlin et al. (2019), NAACL.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        regions: bool = False,
    ) -> None:
        if layers < 1:
            raise ConfigError(f"the fusion 'attention' needs at least one layer, but got {layers}")
        super().__init__(widths, width)
        self.regions = regions
        self.project = nn.ModuleDict({name: nn.Linear(own, width, bias=False) for name, own in widths.items()})
        self.modality = nn.Parameter(torch.randn(len(widths), width) * 0.02)
        self.region = nn.Parameter(torch.randn(width) * 0.02) if regions else None
        self.class_token = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList([TokenLayer(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Fuse {modality: (B, D_m), or (B, 1 + R, D_m) with regions} to (B, width)."""
        return self._read(vectors, present)[0]

    def shares(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return (B, M): what part of the class token's attention each modality's tokens have in the last layer."""
        weights = self._read(vectors, present)[1][:, 0, 1:]  # (B, T)
        counts = [1 if vectors[name].ndim == 2 else vectors[name].shape[1] for name in self.order]
        found = torch.stack([part.sum(dim=1) for part in torch.split(weights, counts, dim=1)], dim=1)
        return found / found.sum(dim=1, keepdim=True)

    def _read(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        tokens = [self._tokens(name, vectors[name], present[name]) for name in self.order]
        there = [present[n].unsqueeze(1).expand(-1, t.shape[1]) for n, t in zip(self.order, tokens, strict=True)]
        first = self.class_token.expand(tokens[0].shape[0], 1, -1)
        x = torch.cat([first, *tokens], dim=1)  # (B, 1 + T, D)
        mask = torch.cat([torch.ones_like(there[0][:, :1]), *there], dim=1)
        for layer in self.layers:
            x, weights = layer.attend(x, mask)  # type: ignore[operator]
        return self.norm(x[:, 0]), weights

    def _tokens(self, name: str, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, T_m, D) tokens; what a missing modality holds becomes zeros, which no one looks at."""
        x = x.unsqueeze(1) if x.ndim == 2 else x
        tokens: Tensor = self.project[name](torch.where(present[:, None, None], x, 0.0))
        tokens = tokens + self.modality[self.order.index(name)]
        if self.region is None:
            return tokens
        return torch.cat([tokens[:, :1], tokens[:, 1:] + self.region], dim=1)
