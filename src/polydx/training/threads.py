"""How many threads torch may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from polydx.errors import ConfigError


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside the block, and as many as before after it.

    Raises:
        ConfigError: fewer than one thread.
    """
    if count < 1:
        raise ConfigError(f"the number of threads must be at least 1, but got {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
