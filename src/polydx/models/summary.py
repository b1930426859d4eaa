"""How large a module is, and what it costs to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.MultiheadAttention)


@dataclass(frozen=True)
class Summary:
    """The size of a module.

    Attributes:
        parameters: numbers that training can change.
        multiply_adds: multiplications with addition in convolutions and linear layers, for one sample; the products
            of tokens with tokens inside attention are not counted.
    """

    parameters: int
    multiply_adds: int


def summarise(module: nn.Module, shape: tuple[int, ...] | Mapping[str, tuple[int, ...]]) -> Summary:
    """Measure a module on one sample.

    Args:
        module: a backbone, or a network.
        shape: of its input, (C, L) or (C, H, W); of a network, modality -> shape.
    """
    counts: list[int] = []

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Any) -> None:
        counts.append(_multiply_adds(layer, output))

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if isinstance(layer, COUNTED)]
    training = module.training
    module.eval()
    try:
        # Gradients stay on: without them, torch's encoder layers take a fused path that calls none of their parts.
        with torch.enable_grad():
            module(
                {name: torch.zeros(1, *own) for name, own in shape.items()}
                if isinstance(shape, Mapping)
                else torch.zeros(1, *shape)
            )
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return Summary(sum(p.numel() for p in module.parameters()), sum(counts))


def _multiply_adds(layer: nn.Module, output: Any) -> int:
    if isinstance(layer, nn.MultiheadAttention):
        # Query, key, value and output are D x D each; attention calls no linear layer for them.
        return int(output[0].numel()) * 4 * int(layer.embed_dim)
    weight: Tensor = layer.get_parameter("weight")
    # Each output value is one scalar product with one filter: the weight without its first dimension.
    return int(output.numel()) * prod(weight.shape[1:])
