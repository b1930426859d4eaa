"""Torch's global random stream, borrowed and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generators inside the block and restore them after it.

    Weight initialisation and dropout draw from the global stream and take no generator; this keeps what happens
    inside independent of what ran before, and what runs after independent of the inside.

    Args:
        seed: any integer from 0 to 2**64 - 1.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
