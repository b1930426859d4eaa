"""Features of networks, then a classical model: what the YAML calls `kind: features`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from polydx.config import CutConfig, FeatureConfig, NetworkConfig, Step
from polydx.errors import ConfigError, Problem, StudyError
from polydx.recipes.catalogue import ESTIMATORS
from polydx.recipes.classical import ClassicalRecipe, FittedClassical
from polydx.recipes.estimators import estimator_problems
from polydx.recipes.features_fitted import FittedCut, FittedFeatures, Rows, as_rows, on_features
from polydx.recipes.inputs import has_any, input_problems
from polydx.recipes.network import NetworkRecipe, network_problems
from polydx.recipes.network_checks import trial_network
from polydx.recipes.network_fitted import FittedNetwork, needed
from polydx.recipes.network_plan import fit_augmentation
from polydx.recipes.out_of_fold import folds_of_tasks
from polydx.recipes.sources import Sources
from polydx.study import Modality, RowIndex, Spectra, Study
from polydx.training.batch import augmented
from polydx.training.predict import extract_features

Networks = dict[str, FittedNetwork]
COPIES = 8
"""What sets the stream that augmented copies are drawn from apart from others of the same seed."""


@dataclass(frozen=True)
class Cut:
    """Where features are cut.

    Attributes:
        schema: stage, pool, steps, and how the network comes to its weights.
        network: the recipe of the network.
    """

    schema: CutConfig
    network: NetworkRecipe

    @property
    def modalities(self) -> tuple[str, ...]:
        """Of which a sample needs one to have these features: that of the stage, or any for the embedding."""
        return needed(self.schema.stage, self.network.modalities)

    def of(self, network: FittedNetwork) -> FittedCut:
        """Return the cut of a fitted network."""
        return FittedCut(network, self.schema.stage, self.schema.pool, self.modalities)

    def fit(self, study: Study, seed: int, log: Path | None) -> FittedNetwork:
        """Fit the network to the samples it can take, or take its weights as they are."""
        part = study.having(self.network.modalities)
        return self.network.fit(part, seed, log) if self.schema.train else self.network.start(part, seed).fitted

    def copies(self, network: FittedNetwork, study: Study, seed: int) -> list[Rows]:
        """Return the features of augmented copies of the rows."""
        there = has_any(study, self.modalities)
        tensors, index = network.inputs.tensors(study.having(self.modalities))
        transforms = fit_augmentation(self.network.schema.augmentation, tensors, network.inputs.known)
        drawn = np.random.SeedSequence([seed, COPIES]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(drawn))
        found = []
        for _ in range(self.schema.copies):
            changed = {n: augmented(x, transforms[n], generator) if n in transforms else x for n, x in tensors.items()}
            found.append(as_rows(network.cut(changed, index, self.schema.stage, self.schema.pool), there))
        return found


@dataclass(frozen=True)
class FeatureRecipe:
    """Networks fitted on the training rows (or started from weights and left as they are), and a model on features.

    A model without probabilities of its own is calibrated on inner patients that neither it nor a network has seen:
    where a network learns from the rows, all are fitted again for each inner fold.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved.
        cuts: name -> where features are cut.
        columns: modalities that the classical model takes beside them.
        classical: the recipe of the model, whose modalities are the cuts and the columns; it calibrates itself where no
            network learns from the rows.
    """

    name: str
    config: dict[str, Any]
    cuts: Mapping[str, Cut]
    columns: tuple[str, ...]
    classical: ClassicalRecipe

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities used."""
        return tuple(dict.fromkeys([*(m for cut in self.cuts.values() for m in cut.modalities), *self.columns]))

    @property
    def members(self) -> dict[str, NetworkRecipe]:
        """The networks, which may have been pretrained."""
        return {name: cut.network for name, cut in self.cuts.items()}

    def fit(self, study: Study, seed: int, log: Path | None = None) -> FittedFeatures:
        """Fit the networks, cut the features of all rows and of their augmented copies, and fit the model to them."""
        networks, classical = self._fit(study, seed, log)
        learning = any(learns(cut.schema, cut.network.schema) for cut in self.cuts.values())
        if learning and ESTIMATORS[self.classical.model].calibrated:
            self._calibrate(classical, study, seed)
        notes = [note for network in networks.values() for note in network.notes]
        history = next(iter(networks.values())).history if len(networks) == 1 else []
        told = list(dict.fromkeys([*notes, *classical.notes]))
        return FittedFeatures(self._cuts(networks), self.columns, classical, history=history, notes=told)

    def _cuts(self, networks: Networks) -> dict[str, FittedCut]:
        return {name: cut.of(networks[name]) for name, cut in self.cuts.items()}

    def _fit(self, study: Study, seed: int, log: Path | None = None) -> tuple[Networks, FittedClassical]:
        networks = self._networks(study, seed, log)
        cuts = {name: cut.rows(study) for name, cut in self._cuts(networks).items()}
        copies = {name: cut.copies(networks[name], study, seed) for name, cut in self.cuts.items()}
        learned = [on_features(study, cuts, self.columns)]
        for number in range(min(map(len, copies.values()))):
            learned.append(on_features(study, {name: found[number] for name, found in copies.items()}, self.columns))
        return networks, self.classical.fit(_joined(learned) if len(learned) > 1 else learned[0], seed)

    def _networks(self, study: Study, seed: int, log: Path | None) -> Networks:
        """Return name of the cut -> network; one that serves several cuts is fitted once."""
        made: dict[str, FittedNetwork] = {}
        found = {}
        for name, cut in self.cuts.items():
            key = f"{cut.schema.train} {cut.network.schema.model_dump_json()}"
            own = log / name if log is not None and len(self.cuts) > 1 else log
            found[name] = made[key] = made[key] if key in made else cut.fit(study, seed, own)
        return found

    def _calibrate(self, classical: FittedClassical, study: Study, seed: int) -> None:
        """Calibrate on decisions of inner patients, each from a fit of networks and model without them."""
        present = {name: set(fit.codes) for name, fit in classical.tasks.items() if fit.estimator is not None}
        codes = {name: study.label_codes(name) for name in present}
        decisions = {name: np.full((len(study), 1 if len(k) == 2 else len(k)), np.nan) for name, k in present.items()}
        try:
            folds = folds_of_tasks(study, list(present), seed) if present else []
        except StudyError:
            folds = []  # so few patients that a fold would be empty
        for fold in folds:
            # A fit that lacks a class has other decisions; one that has a single patient cannot stop early.
            whole = [name for name, classes in present.items() if classes <= set(codes[name][fold.train])]
            if not whole or len(np.unique(study.patients[fold.train])) < 2:
                continue
            networks, model = self._fit(study.take(fold.train), seed)
            fitted = FittedFeatures(self._cuts(networks), self.columns, model)
            told = fitted.on_features(study.take(fold.test))
            for name in whole:
                decisions[name][fold.test] = model.decisions(told, name)
        for name in present:
            classical.calibrate(name, decisions[name], codes[name])


def _joined(parts: list[Study]) -> Study:
    """Stack studies on features; copies get ids of their own, keep their patient, and share the rows of columns."""
    first = parts[0]
    ids = pd.Index(
        [f"{i}#{number}" for number, part in enumerate(parts) for i in part.ids], name="sample", dtype=object
    )
    joined = {name: _joined_rows([(part.modalities[name], part.rows[name]) for part in parts]) for name in first.rows}
    return replace(
        first,
        samples=pd.concat([part.samples for part in parts]).set_axis(ids),
        labels=pd.concat([part.labels for part in parts]).set_axis(ids),
        modalities={name: modality for name, (modality, _) in joined.items()},
        rows={name: index for name, (_, index) in joined.items()},
        unit="sample",  # a patient now has copies
        quality=None,
    )


def _joined_rows(parts: list[tuple[Modality, RowIndex]]) -> tuple[Modality, RowIndex]:
    first = parts[0][0]
    starts = np.concatenate([[0], np.cumsum(np.concatenate([index.counts for _, index in parts]))]).astype(np.int64)
    if all(modality is first for modality, _ in parts):
        return first, RowIndex(starts, np.concatenate([index.rows for _, index in parts]))
    values = [modality.values for modality, _ in parts if isinstance(modality, Spectra)]
    rows = [index.rows + number * len(first) for number, (_, index) in enumerate(parts)]
    return Spectra(np.vstack(values), np.arange(values[0].shape[1], dtype=np.float64)), RowIndex(
        starts, np.concatenate(rows)
    )


def learns(cut: CutConfig, network: NetworkConfig) -> bool:
    """Tell whether the network learns from the rows: by training, or by pretraining on them."""
    return cut.train or (network.pretrain is not None and network.pretrain.study is None)


def feature_steps(config: FeatureConfig) -> dict[str, list[Step]]:
    """Return the preprocessing of cuts and columns, as the classical model takes it."""
    return {name: cut.steps for name, cut in config.features.items()} | config.preprocessing


def network_of(cut: CutConfig) -> NetworkConfig:
    """Return the network whose features are cut.

    Raises:
        ConfigError: its name was not resolved: the recipe stands alone.
    """
    if cut.network is None:
        raise ConfigError(f"'{cut.source}' is no network recipe of this study")
    return cut.network


def feature_problems(config: FeatureConfig, study: Study, where: str, sources: Sources) -> list[Problem]:
    """Return what keeps this configuration from being built and fitted on this study."""
    found = estimator_problems(config.model, config.params, where)
    if len({cut.copies for cut in config.features.values()}) > 1:
        found.append(Problem(f"{where}.features", "the cuts have different numbers of `copies`; give all the same"))
    found += input_problems(study, config.preprocessing, where)
    for name, cut in config.features.items():
        at = f"{where}.features" if len(config.features) == 1 else f"{where}.features.{name}"
        own = _network_problems(cut, study, at, sources)
        found += own or _cut_problems(cut, study, at)
    return found


def _network_problems(cut: CutConfig, study: Study, where: str, sources: Sources) -> list[Problem]:
    if cut.network is None:
        return [Problem(f"{where}.from", f"'{cut.source}' is no network recipe of this study")]
    found = network_problems(cut.network, study, f"{where}.network", sources)
    if cut.network.head == "mapped":
        found.append(Problem(f"{where}.network.head", "features need no head; leave `mapped` out"))
    if not cut.train and cut.network.init is None and cut.network.pretrain is None:
        what = "a network that is not trained needs weights: `init` or `pretrain`, or leave `train: false` out"
        found.append(Problem(f"{where}.train", what))
    if cut.copies and not any(cut.network.augmentation.values()):
        found.append(Problem(f"{where}.copies", "copies are made by the network's `augmentation`, which is empty"))
    return found


def _cut_problems(cut: CutConfig, study: Study, where: str) -> list[Problem]:
    """Cut the features of one empty input, and let the steps look at their number."""
    network, shapes = trial_network(network_of(cut), study)
    empty = {name: torch.zeros(1, *shape) for name, shape in shapes.items()}
    try:
        features = extract_features(network, empty, cut.stage, pool=cut.pool)
    except ConfigError as error:
        return [Problem(f"{where}.stage", error.message)]
    few = on_features(study.take(np.arange(1)), {"cut": as_rows(features, np.ones(1, dtype=bool))})
    return [Problem(f"{where}.steps", p.what) for p in input_problems(few, {"cut": cut.steps}, where)]
