"""Losses that draw two views of a sample together and push other samples away."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from polydx.models.network import Network


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy of two views, the mean over all 2 B of them.

    Args:
        first: (B, D) projections of one view of each sample, of length 1; B at least 2.
        second: (B, D) of the other view, in the same order.
        temperature: divides the cosines.

    Reference: Chen et al. (2020), ICML, equation 1.
    """
    count = len(first)
    similarity = _similarity(torch.cat([first, second]), temperature)  # (2B, 2B)
    partner = torch.arange(2 * count, device=first.device).roll(count)
    return functional.cross_entropy(similarity, partner)


def supervised_contrastive(first: Tensor, second: Tensor, labels: Tensor, temperature: float = 0.5) -> Tensor:
    """Return the contrastive loss in which all views of a class are positives of each other.

    Args:
        first: (B, D) projections of one view of each sample, of length 1; B at least 2.
        second: (B, D) of the other view, in the same order.
        labels: (B,) class codes; a sample without label (-1) has only its own other view as a positive.
        temperature: divides the cosines.

    Reference: Khosla et al. (2020), NeurIPS, equation 2 (the sum outside the logarithm).
    """
    count = len(first)
    similarity = _similarity(torch.cat([first, second]), temperature)  # (2B, 2B)
    own = torch.arange(count, device=labels.device)
    groups = torch.where(labels < 0, -1 - own, labels).repeat(2)
    itself = torch.eye(2 * count, dtype=torch.bool, device=labels.device)
    positive = (groups[:, None] == groups[None]) & ~itself
    log_p = functional.log_softmax(similarity, dim=1).masked_fill(~positive, 0.0)
    return -(log_p.sum(dim=1) / positive.sum(dim=1)).mean()


def _similarity(z: Tensor, temperature: float) -> Tensor:
    """Cosines over temperature, without a view's cosine with itself."""
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    # In float32 whatever the precision of the fit: the exponentials of 1 / temperature need it.
    return (z.float() @ z.float().T / temperature).masked_fill(itself, -torch.inf)


class ContrastiveNetwork(nn.Module):
    """A network without its heads, and a projection head that is thrown away after pretraining.

    Args:
        network: gives the embedding.
        hidden: width of the projection's hidden layer (linear - BN - ReLU).
        width: of the projection.
    """

    def __init__(self, network: Network, hidden: int = 512, width: int = 128) -> None:
        super().__init__()
        self.network = network
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["hidden"] = nn.Linear(network.embedding_width, hidden, bias=False)
        layers["bn"] = nn.BatchNorm1d(hidden)
        layers["act"] = nn.ReLU()
        layers["out"] = nn.Linear(hidden, width)
        self.projection = nn.Sequential(layers)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Map {modality: (B, C, L) or (B, C, H, W)} to projections (B, width) of length 1."""
        return functional.normalize(self.projection(self.network.embed(inputs)), dim=1)
