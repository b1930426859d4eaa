"""Fitting a network: one short loop, everything it draws on private to the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError, StudyError
from polydx.models.network import Network
from polydx.training.batch import augmented, drop_modalities, mixed
from polydx.training.freezing import Unfreezing, layers_from_the_top, train_mode
from polydx.training.losses import CrossEntropy, LearnedTaskWeights, Loss, TaskWeights, multitask_loss
from polydx.training.monitor import losses_of, metrics_of, shares_of
from polydx.training.options import TrainingOptions
from polydx.training.predict import batched_logits
from polydx.training.prefix import Rows, frozen_prefixes, kept
from polydx.training.prefix_store import PrefixStore
from polydx.training.sampling import row_weights
from polydx.training.schedule import build_optimiser, layered_groups, rate_factor, set_rate
from polydx.training.streams import Streams, shuffled_batches, streams
from polydx.training.tensors import TensorSet, is_labelled, label_groups, take_rows
from polydx.training.variants import Augment, variants

__all__ = ["Augment", "Fit", "History", "ScalarLog", "fit"]


class ScalarLog(Protocol):
    """Somewhere to write one dict of numbers a step, such as `polydx.training.logs.TensorBoardLog`."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one step."""
        ...


@dataclass
class History:
    """What happened in a fit.

    Attributes:
        epochs: one dict an epoch: `epoch` (from 0), `lr`, `loss`, `loss/<task>`, and with monitor rows `monitor`,
            `monitor/<task>`.
        best_epoch: the epoch whose weights the network now has.
        notes: what the reader of the results should know.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    notes: list[str] = field(default_factory=list)


def fit(
    network: Network,
    train: TensorSet,
    monitor: TensorSet | None = None,
    options: TrainingOptions | None = None,
    *,
    seed: int,
    losses: Mapping[str, Loss] | None = None,
    task_weights: TaskWeights | None = None,
    augment: Mapping[str, Augment] | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    logger: ScalarLog | None = None,
    store: PrefixStore | None = None,
) -> History:
    """Fit `network` in place and leave it in evaluation mode with its best weights.

    The same seed, rows, options and number of threads give the same weights, byte for byte, whatever ran before.

    Args:
        network: the network; its own weights are where the fit starts.
        train: rows to learn from; those without any label are left out.
        monitor: rows whose loss, averaged by patient and then over tasks, chooses the best epoch and stops the fit;
            without them the last epoch counts.
        options: the knobs.
        seed: of the batches, the augmentation and the dropout.
        losses: task -> loss; cross-entropy where left out.
        task_weights: task -> weight in the sum, or learned weights, which are then fitted along.
        augment: modality -> random transform of each training batch.
        on_epoch: called after each epoch with its number and its row of the history; may raise to end the fit.
        logger: gets the same row, and with it `accuracy/<task>` and `auroc/<task>` of the monitor rows and, where the
            fusion says so, `share/<modality>`.
        store: where the maps after frozen first stages are kept, so that only the rest is computed in every epoch; what
            it holds changes no byte of the result. Without one the whole network runs.

    Raises:
        StudyError: fewer than two labelled rows, no labelled monitor row, or a label beyond the classes of its head.
        ConfigError: every parameter is frozen, or the loss stopped being a finite number.
    """
    run = Fit(
        network, train, monitor, options,
        seed=seed, losses=losses, task_weights=task_weights, augment=augment, store=store,
        details=logger is not None,
    )  # fmt: skip
    while not run.finished:
        epoch = len(run.history.epochs)
        row = run.epoch()
        if logger is not None:
            logger.scalars(epoch, row | run.details)
        if on_epoch is not None:
            on_epoch(epoch, row)
    return run.finish()


class Fit:
    """One fit under way, an epoch at a time.

    Batches, schedule, early stopping and every random stream belong to the fit: several of them may take turns, and
    each gives what it gives alone.

    Args:
        network: as in `fit`, and so are the others.
        train: rows to learn from.
        monitor: rows that choose the best epoch.
        options: the knobs.
        seed: of the batches, the augmentation and the dropout.
        losses: task -> loss.
        task_weights: task -> weight, or learned weights.
        augment: modality -> random transform of each training batch.
        store: where the maps after frozen first stages are kept.
        details: whether figures for who looks on are computed; they change nothing of the fit.

    Attributes:
        history: of the epochs so far.
        details: of the last epoch: metrics of the monitor rows by task, and shares of the modalities.

    Raises:
        StudyError, ConfigError: as in `fit`.
    """

    def __init__(
        self,
        network: Network,
        train: TensorSet,
        monitor: TensorSet | None = None,
        options: TrainingOptions | None = None,
        *,
        seed: int,
        losses: Mapping[str, Loss] | None = None,
        task_weights: TaskWeights | None = None,
        augment: Mapping[str, Augment] | None = None,
        store: PrefixStore | None = None,
        details: bool = False,
    ) -> None:
        from lightning_fabric import Fabric

        self.options = options = options or TrainingOptions()
        self.losses = {task: CrossEntropy() for task in network.tasks} | dict(losses or {})
        _check_labels(network, train, "training", least=2)
        if monitor is not None:
            _check_labels(network, monitor, "monitor", least=1)
        if not any(p.requires_grad for p in network.parameters()):
            raise ConfigError("every parameter of the network is frozen, so there is nothing to fit")
        self.fabric = Fabric(accelerator=options.accelerator, devices=1, precision=options.precision)
        self.device: torch.device = self.fabric.device
        self.streams: Streams = streams(seed, self.device)
        self.network, self.monitor, self.task_weights, self.store = network, monitor, task_weights, store
        self.augment = {} if options.augmentation_variants else dict(augment or {})
        for part in (*self.losses.values(), task_weights):
            if isinstance(part, nn.Module):
                part.to(self.device)
        self.module: Any
        self.module, self.optimiser = self.fabric.setup(network, _optimiser(network, task_weights, options))
        steady = () if options.mixup else [name for name in network.modalities if name not in self.augment]
        autocast = self.fabric.autocast
        self.prefixes = {} if store is None else frozen_prefixes(network, train.inputs, steady, autocast)
        self.after = {name: prefix.stage for name, prefix in self.prefixes.items()}
        # After the prefixes, which stay frozen, and the optimiser, which has to know the stages that will learn later.
        self.unfreezing = Unfreezing(network, options.unfreeze_every) if options.unfreeze_every else None
        self.rows = _labelled_rows(network, train)
        self.chances = row_weights(take_rows(train, self.rows), options.oversample)
        self.train = train.to(self.device)
        self.groups = label_groups(self.train)
        plain: list[dict[str, Rows]] = [dict(self.train.inputs)]
        drawn = variants(self.train.inputs, augment or {}, options.augmentation_variants)
        self.inputs = [self._kept(inputs, self.rows) for inputs in drawn or plain]
        self.watched = None if monitor is None else self._kept(monitor.inputs, torch.arange(len(monitor)))
        self.history = History()
        self.details: dict[str, float] = {}
        self._detailed = details
        self._best = inf
        self._best_weights: dict[str, Tensor] | None = None

    def _kept(self, inputs: Mapping[str, Rows], rows: Tensor) -> dict[str, Rows]:
        """Return the inputs, with feature maps where the first stages are frozen; those of `rows` are computed."""
        return kept(inputs, self.prefixes, self.store, rows)

    @property
    def finished(self) -> bool:
        """Whether all epochs have run, or the monitor stayed worse for too long."""
        done, patience = len(self.history.epochs), self.options.patience
        if done >= self.options.epochs:
            return True
        if not done or not patience or self.monitor is None:
            return False
        # Patience counts anew from the epoch in which a stage started to learn.
        changed = 0 if self.unfreezing is None else self.unfreezing.last
        return done - 1 > self.history.best_epoch and done - 1 - max(self.history.best_epoch, changed) >= patience

    def epoch(self) -> dict[str, float]:
        """Run one epoch and return its row of the history.

        Raises:
            ConfigError: the loss stopped being a finite number.
        """
        number = len(self.history.epochs)
        with self.streams.dropout.borrowed():
            row = {"epoch": float(number), **self._train(number)}
            row |= self._watch()
        _check_finite(row, number)
        self.history.epochs.append(row)
        if self.monitor is None or row["monitor"] < self._best:
            self._best, self.history.best_epoch = row.get("monitor", inf), number
            self._best_weights = _copy(self.network) if self.monitor is not None else None
        return row

    def _watch(self) -> dict[str, float]:
        """Return the losses of the monitor rows, and see to the details."""
        found: dict[str, float] = {}
        self.details = {}
        if self.monitor is not None and self.watched is not None:
            logits = batched_logits(self.module, self.watched, self.device, 256, self.after)
            found = losses_of(logits, self.monitor, self.losses, self.device)
            self.details |= metrics_of(logits, self.monitor) if self._detailed else {}
        if self._detailed:
            self.details |= shares_of(self.network, self.monitor or take_rows(self.train, self.rows))
        return found

    def finish(self) -> History:
        """Give the network its best weights, leave it in evaluation mode, and return the history."""
        if self._best_weights is not None:
            self.network.load_state_dict(self._best_weights)
        self.network.eval()
        if self.prefixes and self.store is not None and self.store.trouble is not None:
            what = f"what the frozen stages give was not kept, but computed again: {self.store.trouble}"
            self.history.notes.append(what)
        return self.history

    def _train(self, epoch: int) -> dict[str, float]:
        """Take one pass over the training rows; return the learning rate and the mean losses."""
        if self.unfreezing is not None:
            self.unfreezing.begin(epoch)
        train_mode(self.network)
        batches = shuffled_batches(len(self.rows), self.options.batch_size, self.streams.batches, self.chances)
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for number, batch in enumerate(batches):
            rate = self.options.lr * rate_factor(epoch * len(batches) + number, len(batches), self.options)
            total, per_task = self._step(self.rows[batch].to(self.device), rate, epoch)
            for name, loss in {"loss": total, **{f"loss/{task}": x for task, x in per_task.items()}}.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + loss.detach() * len(batch)
                counts[name] = counts.get(name, 0) + len(batch)
        return {"lr": rate} | {name: float(value) / counts[name] for name, value in sums.items()}

    def _step(self, rows: Tensor, rate: float, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        set_rate(self.optimiser, rate)
        inputs = {name: x[rows].to(self.device) for name, x in self.inputs[epoch % len(self.inputs)].items()}
        if self.options.mixup:
            inputs = mixed(inputs, self.groups[rows], self.options.mixup, self.streams.augmentation)
        inputs = drop_modalities(inputs, self.options.modality_dropout, self.streams.modalities)
        for name, transform in self.augment.items():
            inputs[name] = augmented(inputs[name], transform, self.streams.augmentation)
        labels = {task: y[rows] for task, y in self.train.labels.items()}
        weights = None if self.train.weights is None else self.train.weights[rows]
        self.optimiser.zero_grad()
        logits = self.module(inputs, self.after)
        total, per_task = multitask_loss(logits, labels, self.losses, self.task_weights, weights)
        self.fabric.backward(total)
        if self.options.gradient_clip:
            self.fabric.clip_gradients(
                self.module, self.optimiser, max_norm=self.options.gradient_clip, error_if_nonfinite=False
            )
        self.optimiser.step()
        return total, per_task


def _optimiser(network: Network, task_weights: TaskWeights | None, options: TrainingOptions) -> torch.optim.Optimizer:
    learned = list(task_weights.parameters()) if isinstance(task_weights, LearnedTaskWeights) else []
    if options.layer_lr_decay == 1.0:
        return build_optimiser([*network.parameters(), *learned], options)
    top, *below = layers_from_the_top(network)
    return build_optimiser(layered_groups([[*top, *learned], *below], options.layer_lr_decay), options)


def _labelled_rows(network: Network, rows: TensorSet) -> Tensor:
    labelled = torch.stack([is_labelled(rows.labels[task]) for task in network.tasks])
    return torch.nonzero(labelled.any(dim=0)).flatten().cpu()


def _check_labels(network: Network, rows: TensorSet, which: str, *, least: int) -> None:
    missing = [task for task in network.tasks if task not in rows.labels]
    if missing or not network.tasks:
        raise StudyError(
            f"the {which} rows have no labels for the tasks of the network: {', '.join(missing) or 'none'}"
        )
    for task in network.tasks:
        labels = rows.labels[task]
        classes = network.head(task).classes
        highest = int(labels.max()) if labels.ndim == 1 and len(labels) else -1
        if labels.ndim == 1 and highest >= max(classes, 2):
            raise StudyError(
                f"task {task!r} of the {which} rows has the class code {highest}, its head {classes} classes"
            )
        if labels.ndim == 2 and labels.shape[1] != classes:
            raise StudyError(
                f"task {task!r} of the {which} rows has probabilities of {labels.shape[1]} classes, its head {classes}"
            )
    found = len(_labelled_rows(network, rows))
    if found < least:
        raise StudyError(f"a fit needs at least {least} labelled {which} rows, but there are {found}")


def _check_finite(row: Mapping[str, float], epoch: int) -> None:
    wrong = [name for name, value in row.items() if not isfinite(value)]
    if wrong:
        raise ConfigError(
            f"training diverged in epoch {epoch}: {', '.join(wrong)} is no longer a finite number; "
            "lower `lr`, set `gradient_clip` (1.0, say), or scale the input"
        )


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
