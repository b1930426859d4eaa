"""What every fusion has in common: its order of modalities, its width, and what stands for a missing one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from polydx.models.options import known

Missing: TypeAlias = Literal["mean", "learned"]


class Fusion(nn.Module):
    """From a vector a modality to one embedding a sample.

    What stands in the vectors of a sample that lacks the modality changes nothing.

    Args:
        widths: modality -> D_m, the width of its vector.
        out_width: of the embedding.

    Attributes:
        regions: whether it takes the positions of a modality's map beside its vector.
    """

    regions = False

    def __init__(self, widths: Mapping[str, int], out_width: int) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.order = tuple(widths)
        self.out_width = out_width

    def forward(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Fuse {modality: (B, D_m)} to (B, out_width).

        Args:
            vectors: of every modality.
            present: modality -> (B,) bool, whether the sample has it; each sample has at least one.
        """
        raise NotImplementedError

    def shares(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor | None:
        """Return (B, M) what part each modality has in the embedding, summing to 1 over those present, else 0.

        None where the fusion has no weights to say so.
        """
        return None


class Fill(nn.Module):
    """Put a vector in the place of a missing one: the mean of the training rows, or a learned vector.

    The mean is followed batch by batch in training: exactly over the first ten batches that have the modality, then
    each counts a tenth.

    Args:
        width: of the vector.
        how: `mean` or `learned`.
    """

    mean: Tensor
    batches: Tensor

    def __init__(self, width: int, how: Missing) -> None:
        super().__init__()
        known(how, get_args(Missing), "way to fill in a missing modality")
        self.learned = nn.Parameter(torch.zeros(width)) if how == "learned" else None
        if how == "mean":
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, D) with rows outside the bool mask (B,) filled in."""
        if self.learned is not None:
            return torch.where(present.unsqueeze(1), x, self.learned.to(x.dtype))
        if self.training:
            self._follow(x.detach(), present)
        return torch.where(present.unsqueeze(1), x, self.mean.to(x.dtype))

    def _follow(self, x: Tensor, present: Tensor) -> None:
        counted = present.float()
        rows = counted.sum()
        mean = torch.where(present.unsqueeze(1), x, 0.0).float().sum(dim=0) / rows.clamp(min=1.0)
        seen = (rows > 0).float()
        self.batches += seen
        self.mean += (mean - self.mean) * seen / self.batches.clamp(1.0, 10.0)


def stacked(present: Mapping[str, Tensor], order: tuple[str, ...]) -> Tensor:
    """Return (B, M) bool, a column a modality."""
    return torch.stack([present[name] for name in order], dim=1)
