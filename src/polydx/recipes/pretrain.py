"""Pretraining as a step of a recipe, on the rows of a fold or on another study, and as weights on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polydx.config import NetworkConfig, PretrainConfig, Step, TrainingConfig
from polydx.errors import BundleError, ConfigError, Problem
from polydx.io.atomic import replacing
from polydx.models.bags import rows_of
from polydx.models.network import Network
from polydx.recipes.initial import read_source
from polydx.recipes.loading import load_source
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import channel_steps, fit_network_inputs, takes_samples, tensor_rows
from polydx.recipes.network_plan import (
    Plan,
    build_losses,
    fit_augmentation,
    network_plan,
    planned_network,
    training_options,
)
from polydx.recipes.protocol import stream_seed
from polydx.recipes.provenance import Seen, manifest_of
from polydx.study import Study, Task
from polydx.training.loop import Augment, History, fit
from polydx.training.options import TrainingOptions
from polydx.training.pretrain import COLLAPSED, ContrastiveOptions, fit_contrastive
from polydx.training.tensors import TensorSet, rows_alone
from polydx.training.threads import limited_threads
from polydx.training.weights import read_weights

Axes = Mapping[str, NDArray[np.float64]]


def pretrain(study: Study, config: NetworkConfig, seed: int, threads: int = 1) -> FittedNetwork:
    """Pretrain a recipe's backbones on all rows of a study, as its `pretrain:` section says.

    Args:
        study: what to learn from; `pretrain.study` plays no part here.
        config: a network recipe with a `pretrain:` section.
        seed: of weights, batches and views.
        threads: of torch.

    Returns:
        The network with its preprocessing, its history and the manifest of what it saw. After contrastive pretraining
        it has no heads: it gives features, and weights to start from.

    Raises:
        ConfigError: no `pretrain:` section, or one that this study cannot serve.
    """
    wanted = section_of(config)
    problems = pretrain_problems(wanted, config, study.tasks, "pretrain")
    if problems:
        raise ConfigError("the pretraining cannot be done", problems)
    inputs = fit_network_inputs(study, channel_steps(config), by_sample=takes_samples(config))
    tensors, index = inputs.tensors(study)
    rows = tensor_rows(study, tensors, index)
    augment = fit_augmentation(views_of(wanted, config), rows.inputs, inputs.known)
    with limited_threads(threads):
        network, plan, history, notes = pretrained_network(rows, config, study.tasks, augment, seed, inputs.fields)
    before = Seen() if config.init is None else read_source(config.init, config).seen
    manifest = manifest_of(wanted.method, study, config.backbones, before)
    return FittedNetwork(inputs, network, plan, threads, history=history, notes=notes, manifest=manifest)


def save_pretrained(path: Path, fitted: FittedNetwork) -> None:
    """Write a pretrained network as one safetensors file.

    Its metadata hold `model` as JSON: architecture, preprocessing, the `history` of the fit and its `notes`, and under
    `manifest` the method, the study, axes and steps, and the patients and content hashes seen. The same network gives
    the same bytes.
    """
    from safetensors.numpy import save_file

    described, arrays = fitted.state()
    axes = {name: None if axis is None else axis.tolist() for name, axis in fitted.inputs.axes.items()}
    steps = {name: found["steps"] for name, found in described["inputs"].items()}
    described["manifest"] = {"schema": 1, **(described["manifest"] or {}), "axes": axes, "preprocessing": steps}
    described |= {"history": fitted.history, "notes": fitted.notes}
    # One entry, for the file keeps several in no order; its keys as they come, in the order of the fused vector.
    metadata = {"model": json.dumps(described)}
    with replacing(path) as temporary:
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, temporary, metadata=metadata)


def load_pretrained(path: Path) -> FittedNetwork:
    """Return what `save_pretrained` wrote.

    Raises:
        ReadError, BundleError: the file is not there, damaged, or holds something else.
    """
    state, metadata = read_weights(path)
    try:
        described = json.loads(metadata["model"])
        fitted = FittedNetwork.from_state(described, {name: value.numpy() for name, value in state.items()})
        fitted.history, fitted.notes = described["history"], described["notes"]
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise BundleError(f"{path} holds no network that polydx has pretrained: {error}") from None
    return fitted


def pretrained_network(
    rows: TensorSet,
    config: NetworkConfig,
    tasks: Mapping[str, Task],
    augment: Mapping[str, Augment],
    seed: int,
    fields: Mapping[str, Sequence[Sequence[int]]] | None = None,
) -> tuple[Network, Plan, list[dict[str, float]], list[str]]:
    """Return a network pretrained on `rows`, its plan, the history and notes.

    The supervised network has a linear head a task; the contrastive ones have none.
    """
    wanted = section_of(config)
    chosen = {name: task for name, task in tasks.items() if wanted.task in (None, name)}
    supervised = wanted.method == "supervised"
    shapes = {name: tuple(rows_of(x).shape[1:]) for name, x in rows.inputs.items()}
    heads = {name: {"classes": len(task.classes)} for name, task in chosen.items()} if supervised else {}
    plan = network_plan(config, shapes, heads, seed, fields)
    network = planned_network(plan)
    notes = [] if config.init is None else load_source(network, read_source(config.init, config), config.init, config)
    options = training_options(wanted, config.training)
    if supervised:
        losses = build_losses(TrainingConfig(oversample=wanted.oversample), chosen, rows)
        histories = {"": fit(network, rows, None, options, seed=seed, losses=losses, augment=augment)}
    else:
        task = (wanted.task or next(iter(tasks))) if wanted.method == "supcon" else None
        contrastive = ContrastiveOptions(wanted.temperature, *wanted.projection, task=task)
        histories = _contrasted(network, rows, options, contrastive, seed, augment)
        notes += _left_out(network, augment)
    network.cpu()
    return network, plan, told(histories), [*notes, *_collapse(histories)]


def _contrasted(
    network: Network,
    rows: TensorSet,
    options: TrainingOptions,
    contrastive: ContrastiveOptions,
    seed: int,
    augment: Mapping[str, Augment],
) -> dict[str, History]:
    """Pretrain the backbone of each augmented modality on its own rows; the fusion takes no part."""
    found = {}
    for name in [name for name in network.modalities if name in augment]:
        encoder = network.encoder(name)
        own = stream_seed(seed, name, 0) if len(network.modalities) > 1 else seed
        one = {name: augment[name]}
        found[name] = fit_contrastive(encoder, rows_alone(rows, name), options, contrastive, seed=own, augment=one)
    return found


def _left_out(network: Network, augment: Mapping[str, Augment]) -> list[str]:
    left = [name for name in network.modalities if name not in augment]
    return [f"pretraining leaves out {', '.join(left)}: without augmentation there are no two views"] if left else []


def told(histories: Mapping[str, History]) -> list[dict[str, float]]:
    """Return histories of equal length as rows before the first epoch of the fit: negative epochs.

    Names stand under `pretrain/`, or, of several modalities, under `pretrain/<modality>/`.
    """
    rows: list[dict[str, float]] = []
    for name, history in histories.items():
        under = f"pretrain/{name}/" if len(histories) > 1 else "pretrain/"
        count = len(history.epochs)
        rows = rows or [{"epoch": row["epoch"] - count, "best": 0.0} for row in history.epochs]
        for row, epoch in zip(rows, history.epochs, strict=True):
            row |= {f"{under}{key}": value for key, value in epoch.items() if key != "epoch"}
    return rows


def _collapse(histories: Mapping[str, History]) -> list[str]:
    spreads = {name: history.epochs[-1].get("spread") for name, history in histories.items()}
    return [
        f"pretraining{f' of {name}' if len(histories) > 1 else ''} collapsed: all projections are one point "
        f"(spread {last:.3f}); lower `lr` or use larger batches"
        for name, last in spreads.items()
        if last is not None and last < COLLAPSED
    ]


def augmentation_of_views(
    config: NetworkConfig, rows: TensorSet, known: Mapping[str, NDArray[np.float64] | None]
) -> dict[str, Augment]:
    """Return the transforms that make the views of a pretraining, fitted on its rows."""
    return fit_augmentation(views_of(section_of(config), config), rows.inputs, known)


def pretrain_problems(
    wanted: PretrainConfig, config: NetworkConfig, tasks: Mapping[str, Task], where: str
) -> list[Problem]:
    """Return what keeps a pretraining from being done on a study with these tasks."""
    found = []
    if wanted.task is not None and (wanted.task not in tasks or wanted.method == "simclr"):
        what = f"'{wanted.task}' is none of {', '.join(tasks)}" if wanted.task not in tasks else "simclr uses no labels"
        found.append(Problem(f"{where}.task", what))
    if wanted.method != "supervised" and not any(views_of(wanted, config).values()):
        found.append(
            Problem(f"{where}.augmentation", "two views of a sample need one: `augmentation: {MODALITY: [...]}`")
        )
    found += [
        Problem(f"{where}.augmentation.{name}", f"'{name}' is none of {', '.join(config.backbones)}")
        for name in wanted.augmentation or {}
        if name not in config.backbones
    ]
    try:
        training_options(wanted, config.training)
    except ConfigError as error:
        found += [Problem(f"{where}.{p.where}", p.what) for p in error.problems]
    return found


def views_of(wanted: PretrainConfig, config: NetworkConfig) -> Mapping[str, list[Step]]:
    """Return the augmentation of a pretraining: its own, else the recipe's."""
    return config.augmentation if wanted.augmentation is None else wanted.augmentation


def section_of(config: NetworkConfig) -> PretrainConfig:
    """Return the recipe's `pretrain:` section.

    Raises:
        ConfigError: it has none.
    """
    if config.pretrain is None:
        raise ConfigError("the recipe has no `pretrain:` section: give it a method, `pretrain: {method: simclr}`")
    return config.pretrain
