"""Pretraining on another study: found, brought onto the recipe's axis, done once for all folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from polydx.config import NetworkConfig
from polydx.errors import AxisError, ConfigError, Problem, SpectrumError
from polydx.preprocessing.spectra import resample_onto
from polydx.recipes.initial import read_source, same_axis
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import channel_pipelines, channel_steps, fit_network_inputs
from polydx.recipes.pretrain import pretrain, pretrain_problems, section_of
from polydx.recipes.protocol import stream_seed
from polydx.recipes.provenance import Seen, manifest_of
from polydx.recipes.sources import Sources
from polydx.study import Images, Spectra, Study

Axes = Mapping[str, NDArray[np.float64] | None]
"""Modality -> axis of its spectra; None for images."""


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
    return _elsewhere(
        described, sources, tuple((n, None if a is None else a.tobytes()) for n, a in axes.items()), threads
    )


@lru_cache(maxsize=4)
def _elsewhere(
    described: str, sources: Sources, axes: tuple[tuple[str, bytes | None], ...], threads: int
) -> FittedNetwork:
    config = NetworkConfig.model_validate_json(described)
    raw = other_study(config, sources)
    own = {name: None if values is None else np.frombuffer(values) for name, values in axes}
    seed = stream_seed(section_of(config).seed, "pretrain", 0)
    fitted = pretrain(study_on(raw, config, own), config, seed, threads)
    # Resampled spectra have other hashes; those of the study as it was read are what copies are found by.
    return replace(fitted, manifest=manifest_of(section_of(config).method, raw, config.backbones, _before(config)))


def _before(config: NetworkConfig) -> Seen:
    return Seen() if config.init is None else read_source(config.init).seen


def other_study(config: NetworkConfig, sources: Sources) -> Study:
    """Return the study that `pretrain.study` names."""
    found = section_of(config).study
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
        if axis is None:
            continue
        spectra = study.spectra(name)
        there = channel_pipelines(steps[name], spectra.axis, name)[0].axis_out
        here = channel_pipelines(steps[name], axis, name)[0].axis_out
        if there is None or not same_axis(there, here):
            modalities[name] = Spectra(resample_onto(spectra.values, spectra.axis, axis).astype(np.float32), axis)
    return replace(study, modalities=modalities)


def elsewhere_problems(config: NetworkConfig, sources: Sources, axes: Axes, where: str) -> list[Problem]:
    """Return what keeps the other study from serving: modalities it lacks, another axis, spectra a step refuses."""
    study = other_study(config, sources)
    found = []
    for name in config.backbones:
        kind = Images if axes[name] is None else Spectra
        if not isinstance(study.modalities.get(name), kind) or not study.present(name).all():
            what = f"study '{study.name}' has not {kind.kind} '{name}' for every sample"
            found.append(Problem(f"{where}.study", what))
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
    return pretrain_problems(section_of(config), config, study.tasks, where)
