"""The layers that differ between spectra (1D) and images (2D), looked up by the number of dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn

Dims = Literal[1, 2]

CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
BATCH_NORM: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
MAX_POOL: dict[int, type[nn.MaxPool1d] | type[nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
ADAPTIVE_AVERAGE: dict[int, type[nn.AdaptiveAvgPool1d] | type[nn.AdaptiveAvgPool2d]] = {
    1: nn.AdaptiveAvgPool1d,
    2: nn.AdaptiveAvgPool2d,
}
ACTIVATIONS: dict[str, type[nn.ReLU] | type[nn.GELU] | type[nn.SiLU]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


@contextmanager
def steady_norms(wanted: bool, *modules: nn.Module) -> Iterator[None]:
    """Keep the batch norms of the modules in evaluation inside the block, if that is wanted."""
    every = (m for module in modules if wanted for m in module.modules())
    learning = [m for m in every if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    for norm in learning:
        norm.eval()
    try:
        yield
    finally:
        for norm in learning:
            norm.train()
