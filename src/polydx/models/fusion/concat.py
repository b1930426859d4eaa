"""Vectors side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polydx.models.fusion.base import Fill, Fusion, Missing


class Concatenate(Fusion):
    """The modalities' vectors side by side, in the order of `widths`.

    Args:
        widths: modality -> width of its vector.
        missing: what stands in the place of a missing vector: the `mean` of the training rows (imputation), or a
            `learned` one.
    """

    def __init__(self, widths: Mapping[str, int], missing: Missing = "mean") -> None:
        super().__init__(widths, sum(widths.values()))
        self.fill = nn.ModuleDict({name: Fill(width, missing) for name, width in widths.items()})

    def forward(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Join {modality: (B, D_m)} to (B, sum of D_m)."""
        return torch.cat([self.fill[name](vectors[name], present[name]) for name in self.order], dim=1)


class Alone(Fusion):
    """The vector of the only modality, as it is.

    Args:
        widths: of one modality.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__(widths, *widths.values())

    def forward(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return the vector (B, D)."""
        return vectors[self.order[0]]
