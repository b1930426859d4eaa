"""The random streams of one fit, and its batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polydx.models.seeding import OwnStream


@dataclass(frozen=True)
class Streams:
    """Independent streams, so that switching one use of chance off leaves the others as they were.

    Attributes:
        batches: order of the rows, on the CPU.
        augmentation: on the device of the fit.
        modalities: which ones are dropped, on the CPU.
        dropout: what torch's global stream is inside the fit.
    """

    batches: torch.Generator
    augmentation: torch.Generator
    modalities: torch.Generator
    dropout: OwnStream


def streams(seed: int, device: torch.device) -> Streams:
    """Derive the streams of a fit from its seed."""
    one, two, three, four = (int(s.generate_state(1, np.uint64)[0]) for s in np.random.SeedSequence(seed).spawn(4))
    batches, augmentation, modalities = torch.Generator(), torch.Generator(device), torch.Generator()
    return Streams(
        batches.manual_seed(one), augmentation.manual_seed(two), modalities.manual_seed(four), OwnStream(three)
    )


def shuffled_batches(
    count: int, batch_size: int, generator: torch.Generator, weights: Tensor | None = None
) -> list[Tensor]:
    """Split `count` rows, in random order, into batches; a last batch of one row joins the one before.

    Batch norm cannot work on a single row.

    Args:
        count: number of rows.
        batch_size: rows a batch.
        generator: on the CPU.
        weights: (count,) how often each row comes up, against the others; drawn with replacement then.

    Returns:
        int64 row numbers, one tensor a batch; without weights every row once.
    """
    if weights is None:
        order = torch.randperm(count, generator=generator)
    else:
        order = torch.multinomial(weights, count, replacement=True, generator=generator)
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
