"""Contrastive pretraining of a network's backbones: SimCLR, and its supervised form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polydx.errors import ConfigError, StudyError
from polydx.models.bags import rows_of
from polydx.models.network import Network
from polydx.models.seeding import seeded
from polydx.training.contrastive import ContrastiveNetwork, nt_xent, supervised_contrastive
from polydx.training.freezing import train_mode
from polydx.training.loop import Augment, History, ScalarLog
from polydx.training.options import TrainingOptions
from polydx.training.predict import extract_features
from polydx.training.probe import effective_rank, knn_accuracy, selection, spread
from polydx.training.sampling import row_weights
from polydx.training.schedule import build_optimiser, rate_factor, set_rate
from polydx.training.streams import Streams, shuffled_batches, streams
from polydx.training.tensors import TensorSet, take_rows

COLLAPSED = 0.05
"""A spread below this says that all projections have become one point."""


@dataclass(frozen=True)
class ContrastiveOptions:
    """What contrastive pretraining needs beside the options of every fit.

    Attributes:
        temperature: divides the cosines.
        hidden: width of the projection head's hidden layer.
        width: of the projection.
        task: whose labels say which samples belong together; None for SimCLR, which looks at no label.
    """

    temperature: float = 0.5
    hidden: int = 512
    width: int = 128
    task: str | None = None


def fit_contrastive(
    network: Network,
    rows: TensorSet,
    options: TrainingOptions,
    contrastive: ContrastiveOptions,
    *,
    seed: int,
    augment: Mapping[str, Augment],
    logger: ScalarLog | None = None,
) -> History:
    """Pretrain backbones, necks and fusion in place; heads take no part. Leaves the network in evaluation mode.

    The same seed, rows, options and number of threads give the same weights, byte for byte.

    Args:
        network: where the pretraining starts.
        rows: all are used, one a sample; labels serve the probe, and with `task` the loss.
        options: the knobs; `patience` plays no part.
        contrastive: temperature, projection head and task.
        seed: of the projection head, the batches, the views and the dropout.
        augment: modality -> random transform that makes the views.
        logger: gets each epoch's row.

    Returns:
        One dict an epoch: `epoch`, `lr`, `loss`, `spread` (0: collapsed), `rank`, and `knn/<task>`.

    Raises:
        ConfigError: no augmentation, so that the views would be equal; or the loss stopped being a finite number.
        StudyError: fewer than two rows.
    """
    if not augment:
        raise ConfigError("contrastive pretraining needs an augmentation: without one, the two views are the same")
    if len(rows) < 2:
        raise StudyError(f"contrastive pretraining needs at least 2 rows, but there are {len(rows)}")
    history = History()
    with seeded(seed):
        module = ContrastiveNetwork(network, contrastive.hidden, contrastive.width)
        run = _Pretraining(module, rows, options, contrastive, seed, augment)
    with run.streams.dropout.borrowed():
        for epoch in range(options.epochs):
            losses = run.train_epoch(epoch)
            found = probe(module, rows) if isfinite(losses["loss"]) else None
            if found is None:
                raise ConfigError(
                    f"pretraining diverged in epoch {epoch}: lower `lr`, or set `gradient_clip` (1.0, say)"
                )
            row = {"epoch": float(epoch), **losses, **found}
            history.epochs.append(row)
            if logger is not None:
                logger.scalars(epoch, row)
    history.best_epoch = options.epochs - 1
    network.eval()
    return history


def probe(module: ContrastiveNetwork, rows: TensorSet) -> dict[str, float] | None:
    """Return `spread` of the projections, `rank` of the embeddings, and `knn/<task>` for tasks with labels.

    None where the embeddings are no longer finite.
    """
    kept = torch.from_numpy(selection(np.arange(len(rows))))
    few = take_rows(rows, kept)
    embeddings = extract_features(module.network, few.inputs, "embedding")
    if not np.isfinite(embeddings).all():
        return None
    module.eval()
    with torch.inference_mode():
        device = next(module.parameters()).device
        projections = module.projection(torch.from_numpy(embeddings).to(device)).float().cpu().numpy()
    found = {"spread": spread(projections), "rank": effective_rank(embeddings)}
    patients = few.patient_codes.numpy()
    for task, labels in few.labels.items():
        codes = (labels if labels.ndim == 1 else labels.argmax(dim=1)).numpy()
        accuracy = knn_accuracy(embeddings, codes, patients)
        if accuracy is not None:
            found[f"knn/{task}"] = accuracy
    return found


class _Pretraining:
    """One pretraining under way."""

    def __init__(
        self,
        module: ContrastiveNetwork,
        rows: TensorSet,
        options: TrainingOptions,
        contrastive: ContrastiveOptions,
        seed: int,
        augment: Mapping[str, Augment],
    ) -> None:
        from lightning_fabric import Fabric

        self.fabric = Fabric(accelerator=options.accelerator, devices=1, precision=options.precision)
        self.streams: Streams = streams(seed, self.fabric.device)
        self.options, self.contrastive, self.augment, self.plain = options, contrastive, augment, module
        self.module: Any
        self.module, self.optimiser = self.fabric.setup(module, build_optimiser(module.parameters(), options))
        self.rows = rows.to(self.fabric.device)
        self.chances = row_weights(rows, options.oversample)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Take one pass over the rows; return the learning rate and the mean loss."""
        train_mode(self.plain)
        batches = shuffled_batches(len(self.rows), self.options.batch_size, self.streams.batches, self.chances)
        total = torch.zeros((), device=self.fabric.device)
        for number, batch in enumerate(batches):
            rate = self.options.lr * rate_factor(epoch * len(batches) + number, len(batches), self.options)
            set_rate(self.optimiser, rate)
            total += self._step(batch.to(self.fabric.device)) * len(batch)
        return {"lr": rate, "loss": float(total) / len(self.rows)}

    def _step(self, batch: Tensor) -> Tensor:
        views = {name: self._views(name, rows_of(x)[batch]) for name, x in self.rows.inputs.items()}
        self.optimiser.zero_grad()
        first, second = self.module(views).chunk(2)
        loss = self._loss(first, second, batch)
        self.fabric.backward(loss)
        if self.options.gradient_clip:
            self.fabric.clip_gradients(
                self.module, self.optimiser, max_norm=self.options.gradient_clip, error_if_nonfinite=False
            )
        self.optimiser.step()
        return loss.detach()

    def _views(self, name: str, x: Tensor) -> Tensor:
        """Two views of each row, one batch after the other: (2B, ...); one pass, so that batch norm sees both."""
        twice = torch.cat([x, x])
        transform = self.augment.get(name)
        return twice if transform is None else transform(twice, self.streams.augmentation)

    def _loss(self, first: Tensor, second: Tensor, batch: Tensor) -> Tensor:
        task = self.contrastive.task
        if task is None:
            return nt_xent(first, second, self.contrastive.temperature)
        return supervised_contrastive(first, second, self.rows.labels[task][batch], self.contrastive.temperature)
