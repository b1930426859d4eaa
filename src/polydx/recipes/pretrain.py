"""Pretraining as a step of a recipe, on the rows of a fold or on another study, and as weights on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polydx.config import NetworkConfig, PretrainConfig, Step, TrainingConfig
from polydx.errors import AxisError, ConfigError, Problem, SpectrumError
from polydx.io.atomic import replacing
from polydx.models.network import Network
from polydx.preprocessing.spectra import resample_onto
from polydx.recipes.initial import load_source, read_source, same_axis
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import channel_pipelines, channel_steps, fit_network_inputs, tensor_rows
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
from polydx.recipes.sources import Sources
from polydx.study import Spectra, Study, Task
from polydx.training.loop import Augment, History, fit
from polydx.training.pretrain import COLLAPSED, ContrastiveOptions, fit_contrastive
from polydx.training.tensors import TensorSet
from polydx.training.threads import limited_threads

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
    wanted = _section(config)
    problems = pretrain_problems(wanted, config, study.tasks, "pretrain")
    if problems:
        raise ConfigError("the pretraining cannot be done", problems)
    inputs = fit_network_inputs(study, channel_steps(config))
    tensors, index = inputs.tensors(study)
    rows = tensor_rows(study, tensors, index)
    augment = fit_augmentation(_views(wanted, config), rows.inputs, inputs.axes)
    with limited_threads(threads):
        network, plan, history, notes = pretrained_network(rows, config, study.tasks, augment, seed)
    before = Seen() if config.init is None else read_source(config.init).seen
    manifest = manifest_of(wanted.method, study, config.backbones, before)
    return FittedNetwork(inputs, network, plan, threads, {}, history, notes, manifest=manifest)


def save_pretrained(path: Path, fitted: FittedNetwork) -> None:
    """Write a pretrained network as one safetensors file.

    Its metadata hold `model` as JSON: architecture, preprocessing, and under `manifest` the method, the study, axes and
    steps, and the patients and content hashes seen. The same network gives the same bytes.
    """
    from safetensors.numpy import save_file

    described, arrays = fitted.state()
    axes = {name: None if axis is None else axis.tolist() for name, axis in fitted.inputs.axes.items()}
    steps = {name: found["steps"] for name, found in described["inputs"].items()}
    described["manifest"] = {"schema": 1, **(described["manifest"] or {}), "axes": axes, "preprocessing": steps}
    # One entry, for the file keeps several in no order; its keys as they come, in the order of the fused vector.
    metadata = {"model": json.dumps(described)}
    with replacing(path) as temporary:
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, temporary, metadata=metadata)


def pretrained_network(
    rows: TensorSet,
    config: NetworkConfig,
    tasks: Mapping[str, Task],
    augment: Mapping[str, Augment],
    seed: int,
) -> tuple[Network, Plan, list[dict[str, float]], list[str]]:
    """Return a network pretrained on `rows`, its plan, the history and notes.

    The supervised network has a linear head a task; the contrastive ones have none.
    """
    wanted = _section(config)
    chosen = {name: task for name, task in tasks.items() if wanted.task in (None, name)}
    supervised = wanted.method == "supervised"
    shapes = {name: tuple(x.shape[1:]) for name, x in rows.inputs.items()}
    heads = {name: {"classes": len(task.classes)} for name, task in chosen.items()} if supervised else {}
    plan = network_plan(config, shapes, heads, seed)
    network = planned_network(plan)
    notes = [] if config.init is None else load_source(network, read_source(config.init), config.init, config)
    options = training_options(wanted, config.training)
    if supervised:
        losses = build_losses(TrainingConfig(oversample=wanted.oversample), chosen, rows)
        history = fit(network, rows, None, options, seed=seed, losses=losses, augment=augment)
    else:
        task = (wanted.task or next(iter(tasks))) if wanted.method == "supcon" else None
        contrastive = ContrastiveOptions(wanted.temperature, *wanted.projection, task=task)
        history = fit_contrastive(network, rows, options, contrastive, seed=seed, augment=augment)
    network.cpu()
    return network, plan, told(history), [*notes, *_collapse(history)]


def told(history: History) -> list[dict[str, float]]:
    """Return the history as rows before the first epoch of the fit: negative epochs, names under `pretrain/`."""
    count = len(history.epochs)
    return [
        {"epoch": row["epoch"] - count, "best": 0.0, **{f"pretrain/{k}": v for k, v in row.items() if k != "epoch"}}
        for row in history.epochs
    ]


def _collapse(history: History) -> list[str]:
    last = history.epochs[-1].get("spread")
    if last is None or last >= COLLAPSED:
        return []
    return [
        f"pretraining collapsed: all projections are one point (spread {last:.3f}); lower `lr` or use larger batches"
    ]


def augmentation_of_views(
    config: NetworkConfig, rows: TensorSet, axes: Mapping[str, NDArray[np.float64] | None]
) -> dict[str, Augment]:
    """Return the transforms that make the views of a pretraining, fitted on its rows."""
    return fit_augmentation(_views(_section(config), config), rows.inputs, axes)


def pretrained_elsewhere(config: NetworkConfig, sources: Sources, axes: Axes, threads: int) -> FittedNetwork:
    """Return the network pretrained on the other study that `pretrain.study` names: the same for every fold.

    Computed once a process. Its seed is `pretrain.seed`, not that of a fold.

    Args:
        config: of the recipe.
        sources: where the study lies.
        axes: modality -> axis of the recipe's own study, onto which the other one's spectra are resampled where the
            recipe's steps do not bring both onto the same.
        threads: of torch.
    """
    described = config.model_dump_json(include={"kind", "backbones", "neck", "necks", "fusion", "preprocessing",
                                                "augmentation", "init", "pretrain", "training"})  # fmt: skip
    return _elsewhere(described, sources, tuple((n, a.tobytes()) for n, a in axes.items()), threads)


@lru_cache(maxsize=4)
def _elsewhere(described: str, sources: Sources, axes: tuple[tuple[str, bytes], ...], threads: int) -> FittedNetwork:
    config = NetworkConfig.model_validate_json(described)
    raw = other_study(config, sources)
    own = {name: np.frombuffer(values) for name, values in axes}
    seed = stream_seed(_section(config).seed, "pretrain", 0)
    fitted = pretrain(study_on(raw, config, own), config, seed, threads)
    # Resampled spectra have other hashes; those of the study as it was read are what copies are found by.
    return replace(fitted, manifest=manifest_of(_section(config).method, raw, config.backbones, _before(config)))


def _before(config: NetworkConfig) -> Seen:
    return Seen() if config.init is None else read_source(config.init).seen


def other_study(config: NetworkConfig, sources: Sources) -> Study:
    """Return the study that `pretrain.study` names."""
    found = _section(config).study
    if found is None:
        raise ConfigError("this pretraining names no other study")
    return sources.load(found)


def study_on(study: Study, config: NetworkConfig, axes: Axes) -> Study:
    """Return the other study with its spectra where the recipe's steps lead to the same axis as for its own.

    Raises:
        AxisError: neither do they lead there, nor does the study cover the recipe's own axis.
    """
    steps = channel_steps(config)
    modalities = dict(study.modalities)
    for name, axis in axes.items():
        spectra = study.spectra(name)
        there = channel_pipelines(steps[name], spectra.axis, name)[0].axis_out
        here = channel_pipelines(steps[name], axis, name)[0].axis_out
        if there is None or not same_axis(there, here):
            modalities[name] = Spectra(resample_onto(spectra.values, spectra.axis, axis).astype(np.float32), axis)
    return replace(study, modalities=modalities)


def pretrain_problems(
    wanted: PretrainConfig, config: NetworkConfig, tasks: Mapping[str, Task], where: str
) -> list[Problem]:
    """Return what keeps a pretraining from being done on a study with these tasks."""
    found = []
    if wanted.task is not None and (wanted.task not in tasks or wanted.method == "simclr"):
        what = f"'{wanted.task}' is none of {', '.join(tasks)}" if wanted.task not in tasks else "simclr uses no labels"
        found.append(Problem(f"{where}.task", what))
    if wanted.method != "supervised" and not any(_views(wanted, config).values()):
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


def elsewhere_problems(config: NetworkConfig, sources: Sources, axes: Axes, where: str) -> list[Problem]:
    """Return what keeps the other study from serving: modalities it lacks, gaps, another axis, spectra a step refuses."""
    study = other_study(config, sources)
    found = []
    for name in config.backbones:
        modality = study.modalities.get(name)
        if not isinstance(modality, Spectra) or not study.present(name).all():
            found.append(Problem(f"{where}.study", f"study '{study.name}' has not spectra '{name}' for every sample"))
    if found:
        return found
    try:
        moved = study_on(study, config, axes)
        fit_network_inputs(moved, channel_steps(config))
    except AxisError as error:
        what = f"study '{study.name}' is on another axis: {error.message}; a step `resample` brings both onto one"
        return [Problem(f"{where}.study", what)]
    except SpectrumError as error:
        return [Problem(f"{where}.study", f"study '{study.name}': {error}")]
    return pretrain_problems(_section(config), config, study.tasks, where)


def _views(wanted: PretrainConfig, config: NetworkConfig) -> Mapping[str, list[Step]]:
    return config.augmentation if wanted.augmentation is None else wanted.augmentation


def _section(config: NetworkConfig) -> PretrainConfig:
    if config.pretrain is None:
        raise ConfigError("the recipe has no `pretrain:` section: give it a method, `pretrain: {method: simclr}`")
    return config.pretrain
