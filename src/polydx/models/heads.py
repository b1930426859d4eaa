"""Heads: from the embedding of a sample to the logits of one task."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from polydx.errors import ConfigError


class Head(nn.Module):
    """Linear layers to the classes of one task.

    Args:
        in_width: D, the width of the embedding.
        classes: K, the number of classes.
        hidden: widths of the hidden layers, none for a single linear layer; each is linear - BN - ReLU - dropout.
        dropout: probability of dropping a hidden value; without hidden layers, of the embedding.
        batch_norm: whether hidden layers have batch norm.
        init_sd: draw the linear weights from N(0, init_sd) and set the biases to 0; None keeps torch's default.
    """

    def __init__(
        self,
        in_width: int,
        classes: int,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        batch_norm: bool = False,
        init_sd: float | None = None,
    ) -> None:
        if classes < 1 or in_width < 1 or any(width < 1 for width in hidden):
            raise ConfigError(f"a head needs widths of at least 1, but got {in_width}, {list(hidden)}, {classes}")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"the dropout of a head must be from 0 up to, not including, 1, but got {dropout}")
        super().__init__()
        self.in_width, self.classes = in_width, classes
        stack: OrderedDict[str, nn.Module] = OrderedDict()
        before = in_width
        if dropout and not hidden:
            stack["dropout"] = nn.Dropout(dropout)
        for number, width in enumerate(hidden, start=1):
            stack[f"hidden{number}"] = _hidden(before, width, dropout, batch_norm)
            before = width
        stack["out"] = nn.Linear(before, classes)
        self.layers = nn.Sequential(stack)
        if init_sd is not None:
            _normal(self, init_sd)

    def forward(self, x: Tensor) -> Tensor:
        """Map embeddings (B, D) to logits (B, K)."""
        logits: Tensor = self.layers(x)
        return logits


def _hidden(before: int, width: int, dropout: float, batch_norm: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(linear=nn.Linear(before, width))
    if batch_norm:
        layers["bn"] = nn.BatchNorm1d(width)
    layers["act"] = nn.ReLU()
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


def _normal(module: nn.Module, sd: float) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, sd)
            nn.init.zeros_(layer.bias)
