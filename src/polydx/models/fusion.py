"""Fusion: from one vector a modality to one embedding a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class Concatenate(nn.Module):
    """The modalities' vectors side by side, in the order of `widths`.

    Args:
        widths: modality -> width of its vector.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.order = tuple(widths)
        self.out_width = sum(widths.values())

    def forward(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """Join {modality: (B, D_m)} to (B, sum of D_m)."""
        if len(self.order) == 1:
            return vectors[self.order[0]]
        return torch.cat([vectors[name] for name in self.order], dim=1)


FUSIONS: dict[str, Callable[[Mapping[str, int]], nn.Module]] = {"concat": Concatenate}
