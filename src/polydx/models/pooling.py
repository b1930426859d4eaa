"""From the vectors of a sample's rows (a bag) to one vector a sample."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class MeanPool(nn.Module):
    """The mean over the rows of each sample."""

    def forward(self, x: Tensor, owner: Tensor, count: int) -> Tensor:
        """Pool rows (n, ...) of owners (n,) to (count, ...); a sample without rows gets zeros."""
        sums = torch.zeros(count, *x.shape[1:], dtype=x.dtype, device=x.device).index_add(0, owner, x)
        ones = torch.ones(len(x), dtype=x.dtype, device=x.device)
        rows = torch.zeros(count, dtype=x.dtype, device=x.device).index_add(0, owner, ones)
        return sums / rows.clamp(min=1.0).reshape(-1, *(1,) * (x.ndim - 1))


class AttentionPool(nn.Module):
    """A weighted mean over the rows of each sample; a small gated network gives each row its weight.

    Of rows with several tokens the first one decides, and all of them are weighed alike.

    Args:
        width: D, of a row's vector.
        hidden: of the gated network.

    Reference: Ilse, Tomczak & Welling (2018), ICML, equation 9.
    """

    def __init__(self, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def scores(self, x: Tensor) -> Tensor:
        """Return (n,), of which the weights are the softmax over the rows of a sample."""
        first = x if x.ndim == 2 else x[:, 0]
        found: Tensor = self.score(torch.tanh(self.value(first)) * torch.sigmoid(self.gate(first))).squeeze(1)
        return found

    def weights(self, x: Tensor, owner: Tensor, count: int) -> Tensor:
        """Return the weight of each row (n,); those of a sample sum to 1."""
        scores = self.scores(x)
        highest = torch.full((count,), -torch.inf, dtype=scores.dtype, device=x.device)
        highest = highest.scatter_reduce(0, owner, scores.detach(), "amax")
        shares = torch.exp(scores - highest[owner])
        sums = torch.zeros(count, dtype=shares.dtype, device=x.device).index_add(0, owner, shares)
        found: Tensor = shares / sums[owner]
        return found

    def forward(self, x: Tensor, owner: Tensor, count: int) -> Tensor:
        """Pool rows (n, ...) of owners (n,) to (count, ...); a sample without rows gets zeros."""
        weighted = x * self.weights(x, owner, count).to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
        return torch.zeros(count, *x.shape[1:], dtype=x.dtype, device=x.device).index_add(0, owner, weighted)


POOLS: dict[str, Callable[[int], nn.Module]] = {"mean": lambda _: MeanPool(), "attention": AttentionPool}
"""Name -> builder from the width of a row's vector."""
