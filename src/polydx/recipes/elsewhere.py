"""Pretraining on another study: found, brought onto the recipe's axis, done once for all folds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polydx import __version__
from polydx.config import NetworkConfig, TrainingConfig
from polydx.errors import AxisError, BundleError, ConfigError, Problem, ReadError, SpectrumError
from polydx.preprocessing.spectra import resample_onto
from polydx.progress import Progress
from polydx.recipes.initial import read_source, same_axis
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import channel_pipelines, channel_steps, fit_network_inputs
from polydx.recipes.pretrain import load_pretrained, pretrain, pretrain_problems, save_pretrained, section_of, views_of
from polydx.recipes.protocol import stream_seed
from polydx.recipes.provenance import Seen, manifest_of, parts_of
from polydx.recipes.sources import Sources
from polydx.study import Images, Spectra, Study, Table

Axes = Mapping[str, NDArray[np.float64] | None]
"""Modality -> axis of its spectra; None for images."""


@dataclass(frozen=True)
class Pretraining:
    """One pretraining on another study, and all that its outcome depends on: the same for every fold.

    Attributes:
        described: what of the recipe's configuration takes part, as JSON.
        sources: where the study lies, and where the network is kept.
        axes: (modality, bytes of the axis of the recipe's own study, None for images), onto which the other one's
            spectra are resampled where the recipe's steps do not bring both onto the same.
        threads: of torch.
    """

    described: str
    sources: Sources
    axes: tuple[tuple[str, bytes | None], ...]
    threads: int

    @property
    def config(self) -> NetworkConfig:
        """What takes part of the recipe's configuration."""
        return NetworkConfig.model_validate_json(self.described)

    @property
    def path(self) -> Path | None:
        """Where the network is kept, under a name that changes with anything its weights depend on."""
        if self.sources.store is None:
            return None
        return self.sources.store / f"{_digest(self)}.safetensors"

    def stored(self) -> FittedNetwork | None:
        """Return the network kept from an earlier fit; None if there is none, or a file that is damaged."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            return load_pretrained(self.path)
        except (ReadError, BundleError):
            return None

    def fit(self) -> FittedNetwork:
        """Pretrain; the seed is `pretrain.seed`, not that of a fold."""
        config = self.config
        raw = other_study(config, self.sources)
        own = {name: None if values is None else np.frombuffer(values) for name, values in self.axes}
        seed = stream_seed(section_of(config).seed, "pretrain", 0)
        fitted = pretrain(study_on(raw, config, own), config, seed, self.threads)
        # Resampled spectra have other hashes; those of the study as it was read are what copies are found by.
        return replace(fitted, manifest=manifest_of(section_of(config).method, raw, config.backbones, _before(config)))

    def keep(self) -> None:
        """Fit, and keep the network where `stored` finds it, unless it is there already."""
        if self.path is not None and self.stored() is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_pretrained(self.path, self.fit())


def pretraining_of(config: NetworkConfig, sources: Sources, axes: Axes, threads: int) -> Pretraining:
    """Return the pretraining that a recipe asks for; recipes that differ in later steps alone ask for the same.

    Args:
        config: of the recipe.
        sources: where the study lies.
        axes: modality -> axis of the recipe's own study.
        threads: of torch.
    """
    training = TrainingConfig(precision=config.training.precision, accelerator=config.training.accelerator)
    section = section_of(config)
    section = section.model_copy(update={"augmentation": views_of(section, config)})
    alike = config.model_copy(update={"pretrain": section, "training": training})
    described = alike.model_dump_json(include={"kind", "backbones", "neck", "necks", "fusion", "preprocessing",
                                               "init", "pretrain", "training"})  # fmt: skip
    known = tuple((name, None if axis is None else axis.tobytes()) for name, axis in axes.items())
    return Pretraining(described, sources, known, threads)


@lru_cache(maxsize=4)
def pretrained(wanted: Pretraining) -> FittedNetwork:
    """Return the network of a pretraining: the one that is kept, else fitted once a process."""
    return wanted.stored() or wanted.fit()


def keep_pretrained(recipes: Iterable[Any], study: Study, jobs: int, progress: Progress) -> None:
    """Do every pretraining on another study once, side by side, before the folds that start from it.

    Args:
        recipes: what will be fitted.
        study: on which.
        jobs: pretrainings side by side.
        progress: told of each that is done.
    """
    from joblib import Parallel, delayed

    asked = dict.fromkeys(found for recipe in recipes for found in _pretrainings(recipe, study))
    missing = [found for found in asked if found.path is not None and found.stored() is None]
    if not missing:
        return
    progress.begin("pretraining", len(missing))
    calls = [delayed(_kept)(found) for found in missing]
    for told in Parallel(n_jobs=min(jobs, len(missing)), return_as="generator_unordered")(calls):
        progress.step(told)


def _kept(wanted: Pretraining) -> str:
    wanted.keep()
    section = section_of(wanted.config)
    return f"{section.method} on {section.study.dataset or section.study.name}" if section.study else section.method


def _pretrainings(recipe: Any, study: Study) -> list[Pretraining]:
    own = recipe.pretraining(study) if hasattr(recipe, "pretraining") else None
    below = [found for part in parts_of(recipe) for found in _pretrainings(part, study)]
    return below if own is None else [own, *below]


def _digest(wanted: Pretraining) -> str:
    config = wanted.config
    software = (__version__, torch.__version__, np.__version__)
    digest = hashlib.sha256(repr((software, wanted.described, wanted.axes, wanted.threads)).encode())
    digest.update(other_study(config, wanted.sources).fingerprint().encode())
    if config.init is not None:
        digest.update(read_source(config.init, config).digest().encode())
    return digest.hexdigest()[:32]


def _before(config: NetworkConfig) -> Seen:
    return Seen() if config.init is None else read_source(config.init, config).seen


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
        kind = "images or table" if axes[name] is None else Spectra.kind
        alike = isinstance(study.modalities.get(name), Images | Table if axes[name] is None else Spectra)
        enough = alike and (study.present(name).any() if len(config.backbones) > 1 else study.present(name).all())
        if not enough:
            what = f"study '{study.name}' has not {kind} '{name}' for every sample"
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
    asked = section_of(config)
    if config.head == "mapped" and asked.task is None and len(study.tasks) > 1:
        named = ", ".join(study.tasks)
        return [Problem(f"{where}.task", f"which task of '{study.name}' is mapped? Name one of {named}")]
    return pretrain_problems(asked, config, study.tasks, where)
