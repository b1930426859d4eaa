"""The published fusion of ultrasound, CT and clinical values, for any number of modalities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polydx.models.fusion.base import Fill, Fusion, Missing, stacked
from polydx.models.necks import SingleAttention


class Pair(nn.Module):
    """Two vectors of one width, attended to by one shared attention and added to each other crosswise.

    x1 = SA(x) + w2 y; y1 = SA(y) + w1 x; the result is SA'([x1, y1]).

    Args:
        width: D, of each vector.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attend, self.together = SingleAttention(width), SingleAttention(2 * width)
        self.first, self.second = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))
        self.out_width = 2 * width

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Fuse (B, D) and (B, D) to (B, 2 D)."""
        one = self.attend(x) + self.second * y
        other = self.attend(y) + self.first * x
        found: Tensor = self.together(torch.cat([one, other], dim=1))
        return found

    def shares(self) -> tuple[Tensor, Tensor]:
        """Return what part the learned weights give to the first and to the second, summing to 1."""
        first, second = 1 + self.first.abs(), 1 + self.second.abs()
        return first / (first + second), second / (first + second)


class Join(nn.Module):
    """Two vectors of any widths, each attended to and weighed, then attended to side by side.

    SA'([w1 SA1(x), w2 SA2(y)]).

    Args:
        first: width of one vector.
        second: width of the other.
    """

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.attend = nn.ModuleList([SingleAttention(first), SingleAttention(second)])
        self.weights = nn.Parameter(torch.ones(2))
        self.together = SingleAttention(first + second)
        self.out_width = first + second

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Fuse (B, D1) and (B, D2) to (B, D1 + D2)."""
        parts = [weight * attend(v) for weight, attend, v in zip(self.weights, self.attend, (x, y), strict=True)]
        found: Tensor = self.together(torch.cat(parts, dim=1))
        return found

    def shares(self) -> tuple[Tensor, Tensor]:
        """Return what part the learned weights give to the first and to the second, summing to 1."""
        found = self.weights.abs() / self.weights.abs().sum().clamp(min=1e-12)
        return found[0], found[1]


class Dsaf(Fusion):
    """Self-attention on each modality, cross-addition of the first two, and attention over what is put together.

    The first two modalities make a `Pair`. Each further one is joined with the first, and the outcome with what the
    modalities before it made: as published for three, in the same way for more. A second modality of another width
    than the first is brought to it by a linear map. Attention over a single vector is a linear map, since the softmax
    of one score is 1; queries and keys would change nothing, so that only the values are kept. All weights are
    parameters, and learned. The hidden layer that the authors put behind is the head's: `hidden: [512]`.

    Args:
        widths: modality -> width of its vector; the order matters.
        missing: what stands for a missing vector: the `mean` of the training rows, or a `learned` one.
    """

    def __init__(self, widths: Mapping[str, int], missing: Missing = "mean") -> None:
        first, second, *others = widths.values()
        pair = Pair(first)
        sides = [Join(width, first) for width in others]
        wholes: list[Join] = []
        before = pair.out_width
        for side in sides:
            wholes.append(Join(side.out_width, before))
            before = wholes[-1].out_width
        super().__init__(widths, before)
        self.fill = nn.ModuleDict({name: Fill(width, missing) for name, width in widths.items()})
        self.align = nn.Linear(second, first, bias=False) if second != first else nn.Identity()
        self.pair, self.sides, self.wholes = pair, nn.ModuleList(sides), nn.ModuleList(wholes)

    def forward(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Fuse {modality: (B, D_m)} to (B, out_width)."""
        first, second, *others = (self.fill[name](vectors[name], present[name]) for name in self.order)
        found: Tensor = self.pair(first, self.align(second))
        for x, side, whole in zip(others, self.sides, self.wholes, strict=True):
            found = whole(side(x, first), found)
        return found

    def shares(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return (B, M): what part the learned weights, the same for all samples, give to each modality present."""
        there = stacked(present, self.order)
        found = torch.stack(self._global_shares()) * there
        return found / found.sum(dim=1, keepdim=True).clamp(min=1e-12)

    def _global_shares(self) -> list[Tensor]:
        shares = list(self.pair.shares())
        for side, whole in zip(self.sides, self.wholes, strict=True):
            (own, of_first), (beside, before) = side.shares(), whole.shares()  # type: ignore[operator]
            shares = [before * share for share in shares]
            shares[0] = shares[0] + beside * of_first
            shares.append(beside * own)
        return shares
