"""From a network recipe's configuration to what models and training take: architecture, options, losses, transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from polydx.augmentation.base import Chain, build_chain
from polydx.augmentation.images import build_image_chain
from polydx.augmentation.spectra import AUGMENTATIONS
from polydx.config import FitConfig, NetworkConfig, Open, Step, TrainingConfig
from polydx.datasets.cache import cache_folder
from polydx.errors import ConfigError, Problem
from polydx.models.bags import Bags, rows_of
from polydx.models.network import Network, build_network
from polydx.models.options import known
from polydx.params import check_params
from polydx.study import Task
from polydx.training.loop import Augment
from polydx.training.losses import (
    BinaryWithLogits,
    CrossEntropy,
    Focal,
    LearnedTaskWeights,
    Loss,
    OrdinalCrossEntropy,
    SoftLabels,
    TaskWeights,
    balanced_class_weights,
)
from polydx.training.options import TrainingOptions
from polydx.training.prefix_store import PrefixStore
from polydx.training.tensors import TensorSet

Plan = dict[str, Any]
Weights = NDArray[np.float32] | None
Maker = Callable[[Task, Weights], Loss]


def network_plan(
    config: NetworkConfig,
    shapes: Mapping[str, tuple[int, ...]],
    heads: Mapping[str, Mapping[str, Any]],
    seed: int,
    fields: Mapping[str, Sequence[Sequence[int]]] | None = None,
) -> Plan:
    """Return the architecture as JSON can hold it.

    Args:
        config: of the recipe.
        shapes: modality -> (C, L), (C, H, W) or (D,).
        heads: task -> keyword arguments of `Head`.
        seed: of the weights.
        fields: modality that is a table -> (start, stop) of the columns that stand for each value.
    """
    necks = {name: config.necks.get(name, config.neck) for name in config.backbones}
    return {
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "backbones": {name: {"name": b.name, **b.options} for name, b in config.backbones.items()},
        "necks": {name: {"name": neck.name, **neck.options} for name, neck in necks.items()},
        "heads": {task: dict(options) for task, options in heads.items()},
        "fusion": {"name": config.fusion.name, **config.fusion.options},
        "bags": dict(config.bags),
        "fields": {name: [list(pair) for pair in found] for name, found in (fields or {}).items()},
        "seed": seed,
    }


def planned_network(plan: Mapping[str, Any]) -> Network:
    """Build the network of a plan."""
    shapes = {name: tuple(shape) for name, shape in plan["shapes"].items()}
    return build_network(shapes, **{k: v for k, v in plan.items() if k != "shapes"})


def planned_heads(config: NetworkConfig, tasks: Mapping[str, Task]) -> dict[str, dict[str, Any]]:
    """Return task -> keyword arguments of its head; a task of the loss `binary` has a single logit."""
    found = {}
    for name, task in tasks.items():
        head = config.heads.get(name)
        classes = 1 if loss_of(config.training, name).name == "binary" else len(task.classes)
        found[name] = {"classes": classes, **({} if head is None else head.model_dump())}
    return found


def training_options(config: FitConfig, training: TrainingConfig, unfreeze_every: int = 0) -> TrainingOptions:
    """Return the options of a fit; of a pretraining, precision and accelerator are those of the training."""
    shared: dict[str, Any] = {
        name: getattr(config, name)
        for name in (
            *("epochs", "batch_size", "lr", "weight_decay", "optimiser", "betas", "momentum", "schedule", "warmup"),
            *("step_every", "step_factor", "oversample"),
        )
    }
    own: dict[str, Any] = {}
    if isinstance(config, TrainingConfig):
        own = {
            "patience": config.patience or 0,
            "mixup": config.mixup,
            "modality_dropout": config.modality_dropout,
            "layer_lr_decay": config.layer_lr_decay,
            "augmentation_variants": training.augmentation_variants,
            "unfreeze_every": unfreeze_every,
        }
    return TrainingOptions(
        **shared,
        **own,
        gradient_clip=config.gradient_clip or 0.0,
        precision=training.precision,
        accelerator=training.accelerator,
    )


def prefix_store(training: TrainingConfig) -> PrefixStore:
    """Return the folder in the user's cache that keeps what frozen first stages give."""
    return PrefixStore(cache_folder() / "frozen-stages", int(training.cache_gb * 1e9))


def loss_of(training: TrainingConfig, task: str) -> Open:
    """Return name and options of a task's loss."""
    return training.losses.get(task, training.loss)


def build_losses(training: TrainingConfig, tasks: Mapping[str, Task], rows: TensorSet) -> dict[str, Loss]:
    """Return task -> loss; balanced class weights count patients, not their samples.

    With `oversample: class` the draw balances the classes, and weights do not do it again.
    """
    return {
        name: build_loss(loss_of(training, name), task, _class_weights(training, name, task, rows), training)
        for name, task in tasks.items()
    }


def _class_weights(training: TrainingConfig, name: str, task: Task, rows: TensorSet) -> Weights:
    found = training.class_weights
    if isinstance(found, dict):
        return np.asarray(found[name], dtype=np.float32) if name in found else None
    if found == "none" or training.oversample == "class":
        return None
    return balanced_class_weights(rows.labels[name], len(task.classes), rows.patients)


def build_loss(loss: Open, task: Task, weights: Weights, training: TrainingConfig) -> Loss:
    """Return the loss of one task.

    Raises:
        ConfigError: an unknown name or option, or a loss that does not fit the task.
    """
    known(loss.name, LOSSES, "loss")
    problems = check_params(LOSSES[loss.name], loss.options, loss.name)
    if problems:
        raise ConfigError(f"{problems[0].where}: {problems[0].what}", problems)
    options = dict(loss.options)
    if training.label_smoothing:
        if loss.name != "cross_entropy":
            raise ConfigError(f"label_smoothing belongs to the loss cross_entropy, not to {loss.name}")
        options.setdefault("smoothing", training.label_smoothing)
    return LOSSES[loss.name](**options)(task, weights)


def _cross_entropy(smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0) -> Maker:
    return lambda _, weights: CrossEntropy(class_weights=weights, smoothing=smoothing)


def _focal(gamma: Annotated[float, Field(ge=0)] = 2.0) -> Maker:
    return lambda _, weights: Focal(gamma=gamma, class_weights=weights)


def _ordinal(spread: Annotated[float, Field(gt=0)] = 0.5) -> Maker:
    def make(task: Task, weights: Weights) -> Loss:
        if not task.ordinal:
            raise ConfigError("the loss ordinal needs a task with `ordinal: true`")
        return OrdinalCrossEntropy(len(task.classes), spread=spread, class_weights=weights)

    return make


def _soft_label(targets: list[list[Annotated[float, Field(ge=0, le=1)]]]) -> Maker:
    def make(task: Task, weights: Weights) -> Loss:
        count = len(task.classes)
        if [len(row) for row in targets] != [count] * count or not np.allclose(np.sum(targets, axis=1), 1):
            raise ConfigError(f"the targets of soft_label must be {count} rows of {count} probabilities that sum to 1")
        return SoftLabels(targets, class_weights=weights)

    return make


def _binary(positive_weight: Annotated[float, Field(gt=0)] | None = None) -> Maker:
    def make(task: Task, weights: Weights) -> Loss:
        if len(task.classes) != 2:
            raise ConfigError(f"the loss binary is for tasks of two classes; this one has {len(task.classes)}")
        ratio = 1.0 if weights is None else float(weights[1] / weights[0])
        return BinaryWithLogits(ratio if positive_weight is None else positive_weight)

    return make


LOSSES: dict[str, Callable[..., Maker]] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "ordinal": _ordinal,
    "soft_label": _soft_label,
    "binary": _binary,
}
"""Name -> its options -> a function of task and class weights."""


def build_task_weights(training: TrainingConfig, tasks: Mapping[str, Task]) -> TaskWeights | None:
    """Return fixed task weights, learned ones, or None for 1 each."""
    if training.task_weights == "learned":
        return LearnedTaskWeights(list(tasks))
    return training.task_weights or None


def fit_augmentation(
    steps: Mapping[str, Sequence[Step]],
    inputs: Mapping[str, Tensor | Bags],
    known: Mapping[str, NDArray[np.float64] | None],
) -> dict[str, Augment]:
    """Return modality -> transform, fitted on the training rows.

    Args:
        steps: modality -> augmentations.
        inputs: modality -> (N, C, L) or (N, C, H, W), or bags of such rows.
        known: modality -> axis of spectra, or levels of images; see `NetworkInputs.known`.
    """
    rows = {n: rows_of(inputs[n]) for n, listed in steps.items() if listed and n in inputs}
    return {n: chain_of(steps[n], x.shape[1:]).fit(x, known[n]) for n, x in rows.items()}


def chain_of(steps: Sequence[Step], shape: Sequence[int]) -> Chain:
    """Build augmentations by name, for spectra of shape (C, L) or images of shape (C, H, W)."""
    return build_chain(steps, AUGMENTATIONS) if len(shape) == 2 else build_image_chain(steps)


def training_problems(training: TrainingConfig, tasks: Mapping[str, Task], where: str) -> list[Problem]:
    """Return what is wrong with losses, class weights and options."""
    found = []
    if isinstance(training.class_weights, dict):
        found += [
            Problem(f"{where}.class_weights.{n}", f"expected {len(tasks[n].classes)} weights, found {len(weights)}")
            for n, weights in training.class_weights.items()
            if n in tasks and len(weights) != len(tasks[n].classes)
        ]
    for name, task in tasks.items():
        at = f"losses.{name}" if name in training.losses else "loss"
        try:
            build_loss(loss_of(training, name), task, None, training)
        except ConfigError as error:
            found.append(Problem(f"{where}.{at}", f"{error.message} (task '{name}')"))
    try:
        training_options(training, training)
    except ConfigError as error:
        found += [Problem(f"{where}.{p.where}", p.what) for p in error.problems]
    return found
