"""New rows between two rows of the same class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor


def mix_within(
    inputs: Mapping[str, Tensor], groups: Tensor, strength: float, generator: Generator
) -> dict[str, Tensor]:
    """Mix each row with a random row of the same group, the same one in every modality.

    Labels stay true, since both rows carry the same; compare mixup across classes, Zhang et al. (2018), ICLR.

    Args:
        inputs: modality -> (B, ...).
        groups: (B,) codes; rows mix within a code.
        strength: largest share of the other row, from 0 to 1.
        generator: on the device of the rows.

    Returns:
        modality -> (B, ...).
    """
    partner, share = partners(groups, strength, generator)
    return {name: torch.lerp(x, x[partner], _column(share, x)) for name, x in inputs.items()}


def partners(groups: Tensor, strength: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return (B,) the row that each row mixes with, and (B,) the share of it; arguments as in `mix_within`."""
    keys = torch.rand(len(groups), generator=generator, device=groups.device)
    share = strength * torch.rand(len(groups), generator=generator, device=groups.device)
    # The rows in order of group, once as they came and once shuffled within each group: pairs of the same group.
    ordered = torch.argsort(groups, stable=True)
    shuffle = torch.argsort(keys)
    shuffled = shuffle[torch.argsort(groups[shuffle], stable=True)]
    partner = torch.empty_like(ordered)
    partner[ordered] = shuffled
    return partner, share


def _column(share: Tensor, x: Tensor) -> Tensor:
    return share.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
