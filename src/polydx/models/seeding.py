"""Torch's global random stream, borrowed and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


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


class OwnStream:
    """A global stream of one's own: each time it is borrowed it goes on where it stood, whatever ran in between.

    Args:
        seed: any integer from 0 to 2**64 - 1.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: tuple[Tensor, list[Tensor]] | None = None

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Put this stream in the place of torch's global generators inside the block, and restore them after it."""
        with torch.random.fork_rng():
            if self._states is None:
                torch.manual_seed(self._seed)
            else:
                torch.set_rng_state(self._states[0])
                torch.cuda.set_rng_state_all(self._states[1])
            try:
                yield
            finally:
                # Without a GPU the list is empty.
                self._states = torch.get_rng_state(), torch.cuda.get_rng_state_all()
