"""What is done to a batch in training before it enters the network: rows mixed, modalities left out, rows augmented."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from polydx.augmentation.mixing import mix_within, partners
from polydx.models.bags import Bags
from polydx.training.variants import Augment

Batch = dict[str, Tensor | Bags]


def augmented(x: Tensor | Bags, transform: Augment, generator: Generator) -> Tensor | Bags:
    """Return the rows transformed; a batch without any stays as it is."""
    if not isinstance(x, Bags):
        return transform(x, generator)
    return x.with_rows(transform(x.rows, generator)) if len(x.values) else x


def mixed(inputs: Mapping[str, Tensor | Bags], groups: Tensor, strength: float, generator: Generator) -> Batch:
    """Mix rows with those of another sample of the same group; of bags, where both have exactly one row.

    Args:
        inputs: modality -> (B, ...), or bags of B samples.
        groups: (B,) codes.
        strength: largest share of the other row.
        generator: on the device of the rows.
    """
    rows = {name: x for name, x in inputs.items() if isinstance(x, Tensor)}
    if rows:
        return {**mix_within(rows, groups, strength, generator)}
    partner, share = partners(groups, strength, generator)
    return {name: _mixed_bags(x, partner.cpu(), share) for name, x in inputs.items() if isinstance(x, Bags)}


def _mixed_bags(x: Bags, partner: Tensor, share: Tensor) -> Bags:
    single = x.counts == 1
    mixing = torch.nonzero(single & single[partner]).flatten()
    own, other = x.starts[mixing], x.starts[partner[mixing]]
    values = x.rows.clone()
    part = share[mixing.to(share.device)].to(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
    values[own] = torch.lerp(values[own], x.rows[other], part)
    return x.with_rows(values)


def drop_modalities(inputs: Mapping[str, Tensor | Bags], probability: float, generator: Generator) -> Batch:
    """Leave each modality out of each sample with some probability, but never the last one a sample has.

    What is left out is missing: its rows do not enter the network.

    Args:
        inputs: modality -> bags of B samples; without bags there is nothing to leave out.
        probability: of leaving a modality out.
        generator: on the CPU; drawn from only where the probability is above 0.

    Reference: Neverova et al. (2016), IEEE TPAMI 38(8), 1692-1706, section 3.3 (ModDrop).
    """
    bags = {name: x for name, x in inputs.items() if isinstance(x, Bags)}
    if not probability or len(bags) < 2:
        return dict(inputs)
    present = torch.stack([x.present for x in bags.values()], dim=1)  # (B, M)
    chance = torch.rand(present.shape, generator=generator).masked_fill(~present, -1.0)
    kept = (chance >= probability) | (chance == chance.max(dim=1, keepdim=True).values)
    return {**inputs, **{name: x.only(kept[:, i]) for i, (name, x) in enumerate(bags.items())}}
