"""Features of a network, then a classical model: what the YAML calls `kind: features`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from polydx.config import CutConfig, FeatureConfig, NetworkConfig, Step
from polydx.errors import ConfigError, Problem, StudyError
from polydx.recipes.catalogue import ESTIMATORS
from polydx.recipes.classical import ClassicalRecipe, FittedClassical
from polydx.recipes.estimators import estimator_problems
from polydx.recipes.inputs import input_problems
from polydx.recipes.kinds import rebuild
from polydx.recipes.network import NetworkRecipe, network_problems
from polydx.recipes.network_checks import trial_network
from polydx.recipes.network_fitted import FittedNetwork, Pool, needed
from polydx.recipes.network_plan import fit_augmentation
from polydx.recipes.out_of_fold import folds_of_tasks
from polydx.recipes.protocol import Fitted, Probabilities, State
from polydx.recipes.provenance import Seen
from polydx.recipes.sources import Sources
from polydx.recipes.task_fit import under
from polydx.study import FloatArray, RowIndex, Spectra, Study
from polydx.training.batch import augmented
from polydx.training.predict import extract_features

FEATURES = "features"
"""What the classical model calls its only modality."""


@dataclass
class FittedFeatures:
    """A features recipe after `fit`.

    Attributes:
        network: gives the features.
        stage: where they are cut.
        pool: over the positions of the map, or none.
        classical: answers from them.
    """

    network: FittedNetwork
    stage: str
    pool: Pool
    classical: Fitted
    thresholds: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)} probabilities, rows summing to 1."""
        return self.classical.predict_proba(on_features(study, self.network.features(study, self.stage, self.pool)))

    def features(self, study: Study, stage: str) -> FloatArray:
        """Return (N, D) activations of the network; see `FittedNetwork.features`."""
        return self.network.features(study, stage)

    def state(self) -> State:
        """Return the fit as data."""
        network, weights = self.network.state()
        classical, arrays = self.classical.state()
        config = {
            "kind": "features", "stage": self.stage, "pool": self.pool, "network": network, "classical": classical,
            "thresholds": dict(self.thresholds),
        }  # fmt: skip
        found = {f"network/{k}": v for k, v in weights.items()} | {f"classical/{k}": v for k, v in arrays.items()}
        return config, found

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedFeatures:
        """Rebuild what `state` returned."""
        network = FittedNetwork.from_state(config["network"], under(arrays, "network/"))
        classical = rebuild(config["classical"], under(arrays, "classical/"))
        return cls(network, config["stage"], config["pool"], classical, config["thresholds"])


@dataclass(frozen=True)
class FeatureRecipe:
    """A network fitted on the training rows (or started from weights and left as it is), and a model on its features.

    A model without probabilities of its own is calibrated on inner patients that neither it nor the network has seen:
    where the network learns from the rows, it is fitted again for each inner fold.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved.
        schema: where the features are cut.
        network: the recipe of the network.
        classical: the recipe of the model, whose one modality is `features`; it calibrates itself where the network
            learns nothing from the rows.
    """

    name: str
    config: dict[str, Any]
    schema: CutConfig
    network: NetworkRecipe
    classical: ClassicalRecipe

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities of which a sample needs one: that of the stage, or any of the network."""
        return needed(self.schema.stage, self.network.modalities)

    def seen_before(self) -> Seen:
        """Return whom the weights that the network starts from have seen."""
        return self.network.seen_before()

    def fit(self, study: Study, seed: int, log: Path | None = None) -> FittedFeatures:
        """Fit the network, cut the features of all rows and of their augmented copies, and fit the model to them."""
        cut = self.schema
        network, classical = self._fit(study, seed, log)
        if learns(cut, self.network.schema) and ESTIMATORS[self.classical.model].calibrated:
            self._calibrate(classical, study, seed)
        notes = [*network.notes, *classical.notes]
        return FittedFeatures(network, cut.stage, cut.pool, classical, classical.thresholds, network.history, notes)

    def _fit(self, study: Study, seed: int, log: Path | None = None) -> tuple[FittedNetwork, FittedClassical]:
        cut = self.schema
        network = self.network.fit(study, seed, log) if cut.train else self.network.start(study, seed).fitted
        learned = on_features(study, network.features(study, cut.stage, cut.pool))
        if cut.copies:
            learned = _joined([learned, *self._copies(network, study, seed)])
        return network, self.classical.fit(learned, seed)

    def _calibrate(self, classical: FittedClassical, study: Study, seed: int) -> None:
        """Calibrate on decisions of inner patients, each from a fit of network and model without them."""
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
            network, model = self._fit(study.take(fold.train), seed)
            held_out = study.take(fold.test)
            told = on_features(held_out, network.features(held_out, self.schema.stage, self.schema.pool))
            for name in whole:
                decisions[name][fold.test] = model.decisions(told, name)
        for name in present:
            classical.calibrate(name, decisions[name], codes[name])

    def _copies(self, network: FittedNetwork, study: Study, seed: int) -> list[Study]:
        """Return the features of augmented copies of the rows."""
        tensors, index = network.inputs.tensors(study)
        transforms = fit_augmentation(self.network.schema.augmentation, tensors, network.inputs.known)
        drawn = np.random.SeedSequence([seed, len(FEATURES)]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(drawn))
        found = []
        for _ in range(self.schema.copies):
            changed = {n: augmented(x, transforms[n], generator) if n in transforms else x for n, x in tensors.items()}
            found.append(on_features(study, network.cut(changed, index, self.schema.stage, self.schema.pool)))
        return found


def on_features(study: Study, features: NDArray[Any]) -> Study:
    """Return the study with features (N, D), one row a sample, in place of its modalities; their axis counts them."""
    rows = Spectra(features.astype(np.float32), np.arange(features.shape[1], dtype=np.float64))
    return replace(study, modalities={FEATURES: rows}, rows={FEATURES: RowIndex.one_each(len(study))})


def _joined(parts: list[Study]) -> Study:
    """Stack studies on features; copies get ids of their own and keep their patient."""
    first = parts[0]
    ids = pd.Index(
        [f"{i}#{number}" for number, part in enumerate(parts) for i in part.ids], name="sample", dtype=object
    )
    values = np.vstack([part.spectra(FEATURES).values for part in parts])
    return replace(
        first,
        samples=pd.concat([part.samples for part in parts]).set_axis(ids),
        labels=pd.concat([part.labels for part in parts]).set_axis(ids),
        modalities={FEATURES: Spectra(values, first.spectra(FEATURES).axis)},
        rows={FEATURES: RowIndex.one_each(len(ids))},
        unit="sample",  # a patient now has copies
        quality=None,
    )


def learns(cut: CutConfig, network: NetworkConfig) -> bool:
    """Tell whether the network learns from the rows: by training, or by pretraining on them."""
    return cut.train or (network.pretrain is not None and network.pretrain.study is None)


def feature_steps(cut: CutConfig) -> dict[str, list[Step]]:
    """Return the preprocessing of the features, as the classical model takes it."""
    return {FEATURES: cut.steps}


def network_of(config: FeatureConfig) -> NetworkConfig:
    """Return the network whose features are cut.

    Raises:
        ConfigError: its name was not resolved: the recipe stands alone.
    """
    if config.features.network is None:
        raise ConfigError(f"'{config.features.source}' is no network recipe of this study")
    return config.features.network


def feature_problems(config: FeatureConfig, study: Study, where: str, sources: Sources) -> list[Problem]:
    """Return what keeps this configuration from being built and fitted on this study."""
    cut = config.features
    if cut.network is None:
        return [Problem(f"{where}.features.from", f"'{cut.source}' is no network recipe of this study")]
    found = network_problems(cut.network, study, f"{where}.features.network", sources)
    found += estimator_problems(config.model, config.params, where)
    if cut.network.head == "mapped":
        found.append(Problem(f"{where}.features.network.head", "features need no head; leave `mapped` out"))
    if not cut.train and cut.network.init is None and cut.network.pretrain is None:
        what = "a network that is not trained needs weights: `init` or `pretrain`, or leave `train: false` out"
        found.append(Problem(f"{where}.features.train", what))
    if cut.copies and not any(cut.network.augmentation.values()):
        found.append(
            Problem(f"{where}.features.copies", "copies are made by the network's `augmentation`, which is empty")
        )
    return found or _cut_problems(cut, study, where)


def _cut_problems(cut: CutConfig, study: Study, where: str) -> list[Problem]:
    """Cut the features of one empty input, and let the steps look at their number."""
    if cut.network is None:
        return []
    network, shapes = trial_network(cut.network, study)
    empty = {name: torch.zeros(1, *shape) for name, shape in shapes.items()}
    try:
        features = extract_features(network, empty, cut.stage, pool=cut.pool)
    except ConfigError as error:
        return [Problem(f"{where}.features.stage", error.message)]
    few = study.take(np.arange(1))
    problems = input_problems(on_features(few, features), feature_steps(cut), where)
    return [Problem(f"{where}.features.steps", p.what) for p in problems]
