"""Gates that weigh the modalities unit by unit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polydx.models.fusion.base import Fusion, stacked


class Gated(Fusion):
    """A weighted sum of the modalities; each unit of the sum has its own weights, which depend on all that is there.

    h_m = tanh(W_m v_m + b_m); z = softmax over the present m of (U [h_1 .. h_M] + c), in which missing ones stand as
    zeros and the gates are told so; the embedding is the sum of z_m h_m. With two modalities and all present it is the
    published unit but that its gates read h instead of v, which lets modalities of any width weigh alike.

    Args:
        widths: modality -> width of its vector.
        width: of the embedding.

    Reference: Arevalo et al. (2017), ICLR workshop, arXiv:1702.01992, section 3.1.
    """

    def __init__(self, widths: Mapping[str, int], width: int = 128) -> None:
        super().__init__(widths, width)
        self.project = nn.ModuleDict({name: nn.Linear(own, width) for name, own in widths.items()})
        self.gate = nn.Linear(len(widths) * (width + 1), len(widths) * width)

    def forward(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Fuse {modality: (B, D_m)} to (B, width)."""
        hidden, weights = self._weighed(vectors, present)
        return (weights * hidden).sum(dim=1)

    def shares(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return (B, M): the mean weight of each modality over the units."""
        return self._weighed(vectors, present)[1].mean(dim=2)

    def _weighed(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return hidden values and weights, (B, M, width) each; both are 0 where a modality is missing."""
        there = stacked(present, self.order).unsqueeze(2)  # (B, M, 1)
        safe = {name: torch.where(present[name].unsqueeze(1), vectors[name], 0.0) for name in self.order}
        hidden = torch.stack([torch.tanh(self.project[name](safe[name])) for name in self.order], dim=1)
        hidden = hidden * there
        told = torch.cat([hidden, there.to(hidden.dtype)], dim=2).flatten(1)  # (B, M (width + 1))
        scores = self.gate(told).reshape(hidden.shape).masked_fill(~there, -torch.inf)
        return hidden, torch.softmax(scores, dim=1)
