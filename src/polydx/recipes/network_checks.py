"""What keeps a network recipe from being built and fitted, found before anything is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from polydx.config import NetworkConfig
from polydx.errors import ConfigError, PolydxError, Problem
from polydx.models.network import Network
from polydx.params import unknown
from polydx.recipes.elsewhere import elsewhere_problems
from polydx.recipes.initial import Source, axes_to_take, axis_problems, read_source, source_head
from polydx.recipes.inputs import input_problems, study_axes
from polydx.recipes.loading import load_source
from polydx.recipes.network_inputs import axes_after, channel_steps, fields_of, network_shape, trial_table
from polydx.recipes.network_plan import chain_of, network_plan, planned_heads, planned_network, training_problems
from polydx.recipes.pretrain import pretrain_problems
from polydx.recipes.sources import Sources
from polydx.study import Study, Table

Axes = dict[str, NDArray[np.float64] | None]


def network_problems(config: NetworkConfig, study: Study, where: str, sources: Sources | None = None) -> list[Problem]:
    """Return what keeps this configuration from being built and fitted on this study."""
    found = [*_input_problems(config, study, where), *_name_problems(config, study, where)]
    found += training_problems(config.training, study.tasks, f"{where}.training")
    if not found:
        found += _lonely_options(config, where) or _build_problems(config, study, where)
    if not found and config.pretrain is not None:
        found += _pretrain_problems(config, study, f"{where}.pretrain", sources or Sources())
    return found


def _input_problems(config: NetworkConfig, study: Study, where: str) -> list[Problem]:
    steps = channel_steps(config)
    most = max(map(len, steps.values()))
    parts = [{name: listed[i] for name, listed in steps.items() if len(listed) > i} for i in range(most)]
    found = list(dict.fromkeys(p for part in parts for p in input_problems(study, part, where)))
    tables = [name for name in steps if isinstance(study.modalities.get(name), Table)]
    what = "the values of a table are not disturbed; leave it out"
    return found + [Problem(f"{where}.augmentation.{n}", what) for n in tables if config.augmentation.get(n)]


def _name_problems(config: NetworkConfig, study: Study, where: str) -> list[Problem]:
    training = config.training
    weighted = training.task_weights if isinstance(training.task_weights, dict) else {}
    by_class = training.class_weights if isinstance(training.class_weights, dict) else {}
    return [
        Problem(f"{where}.{section}.{name}", f"'{name}' is none of {', '.join(known)}")
        for section, names, known in (
            ("heads", config.heads, study.tasks),
            ("training.task_weights", weighted, study.tasks),
            ("training.class_weights", by_class, study.tasks),
            ("training.losses", training.losses, study.tasks),
            ("preprocessing", config.preprocessing, config.backbones),
            ("augmentation", config.augmentation, config.backbones),
            ("necks", config.necks, config.backbones),
            ("bags", config.bags, config.backbones),
        )
        for name in names
        if name not in known
    ]


def _lonely_options(config: NetworkConfig, where: str) -> list[Problem]:
    """Return options that a network of one modality has no use for."""
    if len(config.backbones) > 1 or not config.training.modality_dropout:
        return []
    what = "leaves out modalities of which the recipe has but one; delete it"
    return [Problem(f"{where}.training.modality_dropout", what)]


def _build_problems(config: NetworkConfig, study: Study, where: str) -> list[Problem]:
    """Build network and augmentation once, load the weights to start from, and let one batch through."""
    try:
        source = None if config.init is None else read_source(config.init, config)
    except PolydxError as error:
        return _located(error, f"{where}.init.from")
    try:
        shapes, axes = _shapes(config, study, {})
        own = study_axes(study, config.backbones)
        if source is not None and config.init is not None:
            problems = [
                p
                for name in config.backbones
                for p in axis_problems(source, config.init, config, name, axes[name], own[name])
            ]
            if problems:
                return [Problem(f"{where}.{p.where}", p.what) for p in problems]
        for name, shape in shapes.items():
            sample = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
            if len(shape) > 1:
                chain_of(config.augmentation.get(name, []), shape).fit(sample, axes[name])
        network, shapes = trial_network(config, study, source)
        with torch.inference_mode():
            network({name: torch.zeros(2, *shape) for name, shape in shapes.items()})
    except ConfigError as error:
        return _located(error, where)
    return _load_problems(config, source, network, where) + _freeze_problems(config, network, where)


def trial_network(
    config: NetworkConfig, study: Study, source: Source | None = None
) -> tuple[Network, dict[str, tuple[int, ...]]]:
    """Return a network as this recipe would build it, in evaluation mode, and modality -> shape of its inputs.

    Raises:
        ConfigError: it cannot be built.
    """
    if source is None and config.init is not None:
        source = read_source(config.init, config)
    shapes, axes = _shapes(config, study, {})
    if source is not None and config.init is not None:
        shapes, _ = _shapes(config, study, axes_to_take(source, config.init, config, axes))
    heads = planned_heads(config, study.tasks)
    if config.head == "mapped" and source is not None:
        heads = source_head(source, config)
    steps = channel_steps(config)
    tables = [name for name in steps if isinstance(study.modalities[name], Table)]
    fields = {n: fields_of(trial_table(study, n, steps[n], f"preprocessing.{n}")) for n in tables}
    return planned_network(network_plan(config, shapes, heads, 0, fields)).eval(), shapes


def _shapes(
    config: NetworkConfig, study: Study, onto: Mapping[str, NDArray[np.float64]]
) -> tuple[dict[str, tuple[int, ...]], Axes]:
    """Return modality -> (C, L), (C, H, W) or (D,), and modality -> axis of what enters the network."""
    steps, own = channel_steps(config, onto), study_axes(study, config.backbones)
    shapes = {name: network_shape(study, name, listed, f"preprocessing.{name}") for name, listed in steps.items()}
    return shapes, axes_after(steps, own)


def _load_problems(config: NetworkConfig, source: Source | None, network: Network, where: str) -> list[Problem]:
    if source is None or config.init is None:
        return []
    try:
        load_source(network, source, config.init, config)
    except PolydxError as error:
        return [Problem(f"{where}.init", error.message), *_located(error, f"{where}.init")[: len(error.problems)]]
    return []


def _freeze_problems(config: NetworkConfig, network: Network, where: str) -> list[Problem]:
    stages = {f"{m}.{stage}" for m in network.modalities for stage in network.backbone(m).stages}
    known = [*network.modalities, *sorted(stages)]
    return [Problem(f"{where}.freeze", unknown("stage", name, known)) for name in config.freeze if name not in known]


def _pretrain_problems(config: NetworkConfig, study: Study, where: str, sources: Sources) -> list[Problem]:
    if config.pretrain is None:
        return []
    if config.pretrain.study is None:
        return pretrain_problems(config.pretrain, config, study.tasks, where)
    axes = study_axes(study, config.backbones)
    try:
        return elsewhere_problems(config, sources, axes, where)
    except PolydxError as error:
        return _located(error, f"{where}.study")


def _located(error: PolydxError, where: str) -> list[Problem]:
    return [Problem(f"{where}.{p.where}", p.what) for p in error.problems] or [Problem(where, error.message)]
