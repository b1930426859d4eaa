"""What gradient methods need of a fitted network: the score of a class as a function of one modality's input.

Shapes: `n` inputs, `C` channels, `L'` points that enter the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polydx.errors import ConfigError
from polydx.models.bags import Bags, rows_of
from polydx.recipes.inputs import pool_mean
from polydx.recipes.network_fitted import FittedNetwork
from polydx.study import RowIndex, Study

Floats = NDArray[np.float64]
TOGETHER = 64
"""Samples at a time: what bounds memory, not the result."""


def network_of(fitted: object, method: str) -> FittedNetwork:
    """Return the network whose gradients explain its answers.

    Raises:
        ConfigError: the recipe is no network, or its answers come from a table behind the network.
    """
    if not isinstance(fitted, FittedNetwork):
        raise ConfigError(f"`{method}` follows gradients, and this recipe is no network: use `occlusion`")
    if fitted.mapping is not None:
        raise ConfigError(f"`{method}`: the classes of this network are mapped onto the task's: use `occlusion`")
    return fitted


def class_score(logits: Tensor, code: int) -> Tensor:
    """Return (B,) the log-odds of a class from logits (B, K), or from a single logit (B, 1) of the second class."""
    if logits.shape[1] == 1:
        return logits[:, 0] if code == 1 else -logits[:, 0]
    others = [k for k in range(logits.shape[1]) if k != code]
    return logits[:, code] - torch.logsumexp(logits[:, others], dim=1)


@dataclass(frozen=True)
class Rows:
    """The rows of one modality on their way into a network, and what else their samples have.

    Attributes:
        fitted: the network.
        modality: whose rows are explained.
        tensors: what enters the network, as `NetworkInputs.tensors` gives it.
        owner: which sample each row of the modality is of.
    """

    fitted: FittedNetwork
    modality: str
    tensors: Mapping[str, Tensor | Bags]
    owner: RowIndex

    @property
    def values(self) -> Tensor:
        """(n, C, L') or (n, C, H, W) rows of the modality."""
        return rows_of(self.tensors[self.modality])

    def parts(self) -> Iterator[Rows]:
        """Yield some samples at a time."""
        for at in range(0, len(next(iter(self.tensors.values()))), TOGETHER):
            part = {name: x[at : at + TOGETHER] for name, x in self.tensors.items()}
            yield Rows(self.fitted, self.modality, part, self.owner)

    def score(self, x: Tensor, task: str, code: int, stage: str | None = None) -> Tensor:
        """Return the log-odds of a class with other rows of the modality, or their maps after a stage."""
        own = self.tensors[self.modality]
        inputs = {**self.tensors, self.modality: own.with_rows(x) if isinstance(own, Bags) else x}
        logits = self.fitted.network(inputs, {self.modality: stage} if stage else None)[task]
        return class_score(logits / self.fitted.temperatures.get(task, 1.0), code)

    def maps(self, stage: str, rows: Tensor) -> Tensor:
        """Return (n, D, l) or (n, D, h, w), what the backbone makes of rows up to a stage."""
        return self.fitted.network.features({self.modality: rows}, f"{self.modality}.{stage}")

    def by_sample(self, found: Floats) -> Floats:
        """Return (N, ...) from one map a row: their mean, or where the network joins a sample's rows, their sum."""
        mean = pool_mean(found, self.owner)
        if not isinstance(self.tensors[self.modality], Bags):
            return mean
        return np.asarray(mean * self.owner.counts.reshape(-1, *[1] * (mean.ndim - 1)))


def rows_into(fitted: FittedNetwork, study: Study, modality: str) -> Rows:
    """Return the rows of a modality of samples that all have it.

    Raises:
        ConfigError: the network takes no such modality.
    """
    if modality not in fitted.network.modalities:
        raise ConfigError(f"the network takes {', '.join(fitted.network.modalities)}, not '{modality}'")
    tensors, _ = fitted.inputs.tensors(study)
    starts = study.rows[modality].starts
    return Rows(fitted, modality, tensors, RowIndex(starts, np.arange(starts[-1])))


def gradient(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradient of each input's own score, of the shape of `x`."""
    x = x.detach().requires_grad_(True)
    (found,) = torch.autograd.grad(score(x).sum(), x)
    return found
