"""Network recipes: preprocessing, a network and its training, all fitted on the rows they are given."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polydx.config import NetworkConfig
from polydx.models.bags import rows_of
from polydx.models.network import Network
from polydx.recipes.elsewhere import Pretraining, other_study, pretrained, pretraining_of
from polydx.recipes.initial import Source, axes_to_take, read_source, source_head
from polydx.recipes.inputs import study_axes
from polydx.recipes.loading import load_source
from polydx.recipes.mapping import ClassMapping, fit_mapping, row_weights
from polydx.recipes.network_checks import network_problems
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import (
    NetworkInputs,
    axes_after,
    channel_steps,
    fit_network_inputs,
    takes_samples,
    tensor_rows,
)
from polydx.recipes.network_plan import (
    Plan,
    build_losses,
    build_task_weights,
    fit_augmentation,
    network_plan,
    planned_heads,
    planned_network,
    prefix_store,
    training_options,
)
from polydx.recipes.out_of_fold import folds_of_tasks
from polydx.recipes.pretrain import augmentation_of_views, pretrained_network
from polydx.recipes.provenance import Seen, manifest_of, seen_in
from polydx.recipes.sources import Sources
from polydx.splits import Fold, inner_split
from polydx.splits.fold import absent_from_training
from polydx.study import RowIndex, Study
from polydx.training.freezing import freeze
from polydx.training.logs import TensorBoardLog
from polydx.training.loop import fit
from polydx.training.tensors import TensorSet, take_rows
from polydx.training.threads import limited_threads
from polydx.training.weights import load_into

__all__ = ["FittedNetwork", "NetworkRecipe", "Start", "network_problems", "origins"]


@dataclass
class Start:
    """A recipe before its fit: its network with the weights it starts from, and the rows to learn from.

    Attributes:
        fitted: preprocessing and network; nothing of the network was fitted on labels of these rows, unless `pretrain`
            asked for it.
        train: rows to learn from.
        monitor: rows of inner patients that watch over the epochs.
        index: which rows belong to which sample, of all rows.
    """

    fitted: FittedNetwork
    train: TensorSet
    monitor: TensorSet | None
    index: RowIndex


@dataclass(frozen=True)
class NetworkRecipe:
    """What the YAML calls `kind: network`.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved.
        schema: the same, typed.
        threads: of one fit; part of what makes results repeat to the byte.
        sources: where another study to pretrain on lies.
    """

    name: str
    config: dict[str, Any]
    schema: NetworkConfig
    threads: int = 1
    sources: Sources = field(default_factory=Sources)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities used."""
        return tuple(self.schema.backbones)

    def seen_before(self) -> Seen:
        """Return whom the weights it starts from have seen: those of `init`, and of a pretraining on another study."""
        found = Seen() if self.schema.init is None else read_source(self.schema.init, self.schema).seen
        if self.schema.pretrain is not None and self.schema.pretrain.study is not None:
            found = found | seen_in(other_study(self.schema, self.sources), self.modalities)
        return found

    def fit(self, study: Study, seed: int, log: Path | None = None) -> FittedNetwork:
        """Fit preprocessing and network; stop early by the loss of inner patients, which take no part in learning."""
        with TensorBoardLog(log) if log is not None else nullcontext() as logger:
            start = self.start(study, seed)
            fitted = start.fitted
            for number, row in enumerate(fitted.history):
                if logger is not None:
                    logger.scalars(number, {k: v for k, v in row.items() if k.startswith("pretrain/")})
            if self.schema.head == "mapped":
                self._map(start, study)
            else:
                self._train(start, study, seed, logger)
        return fitted

    def start(self, study: Study, seed: int) -> Start:
        """Fit the preprocessing, build the network, and give it the weights of `init` and `pretrain`."""
        schema, init = self.schema, self.schema.init
        source = None if init is None else read_source(init, schema)
        steps, scales = channel_steps(schema), None
        elsewhere = self.pretraining(study)
        found = None if elsewhere is None else pretrained(elsewhere)
        if source is not None and init is not None:
            own = axes_after(steps, study_axes(study, steps))
            steps = channel_steps(schema, axes_to_take(source, init, schema, own))
            scales = source.scales(schema, {name: len(listed) for name, listed in steps.items()})
        if found is not None and schema.head == "mapped":
            scales = found.inputs.scales
        inputs = fit_network_inputs(study, steps, scales, by_sample=takes_samples(schema))
        tensors, index = inputs.tensors(study)
        rows = tensor_rows(study, tensors, index)
        train, monitor = self._inner(study, rows, index, seed)
        plan = self._plan(study, inputs, rows, source, found, seed)
        network = planned_network(plan)
        fitted = FittedNetwork(inputs, network, plan, self.threads, notes=inputs.notes())
        before = Seen()
        if source is not None and init is not None:
            fitted.notes += load_source(network, source, init, schema)
            before = source.seen
        if schema.pretrain is not None:
            before = before | self._pretrain(fitted, train, study, seed, found)
        if before.simulated and not study.simulated:
            fitted.notes.append("the weights it starts from were fitted on SIMULATED data")
        fitted.manifest = manifest_of("init" if schema.head == "mapped" else "fit", study, self.modalities, before)
        network.eval()
        return Start(fitted, train, monitor, index)

    def pretraining(self, study: Study) -> Pretraining | None:
        """Return the pretraining on another study that a fit on `study` starts from, if there is one."""
        schema = self.schema
        if schema.pretrain is None or schema.pretrain.study is None:
            return None
        return pretraining_of(schema, self.sources, study_axes(study, self.modalities), self.threads)

    def _pretrain(
        self, fitted: FittedNetwork, rows: TensorSet, study: Study, seed: int, found: FittedNetwork | None
    ) -> Seen:
        """Take over the weights pretrained on another study, or pretrain on the rows to learn from."""
        schema, before = self.schema, Seen()
        if found is not None:
            network, history, notes = found.network, found.history, found.notes
            before = Seen() if found.manifest is None else found.manifest.seen
        else:
            augment = augmentation_of_views(schema, rows, fitted.inputs.known)
            with limited_threads(self.threads):
                network, _, history, notes = pretrained_network(
                    rows, schema, study.tasks, augment, seed, fitted.inputs.fields
                )
        shared = _shared_parts(fitted.network) + (["heads"] if schema.head == "mapped" else [])
        load_into(fitted.network, network.state_dict(), shared)
        fitted.history += history
        fitted.notes += notes
        return before

    def _train(self, start: Start, study: Study, seed: int, logger: TensorBoardLog | None) -> None:
        schema, fitted = self.schema, start.fitted
        freeze(fitted.network, [f"backbones.{name}" for name in schema.freeze])
        every = 0 if schema.unfreeze is None else schema.unfreeze.every
        with limited_threads(self.threads):
            history = fit(
                fitted.network,
                start.train,
                start.monitor,
                training_options(schema.training, schema.training, every),
                seed=seed,
                losses=build_losses(schema.training, study.tasks, start.train),
                task_weights=build_task_weights(schema.training, study.tasks),
                augment=fit_augmentation(schema.augmentation, start.train.inputs, fitted.inputs.known),
                logger=logger,
                store=prefix_store(schema.training),
            )
        # What is predicted here and what a saved copy predicts shall be the same, also after a fit on a GPU.
        fitted.network.cpu()
        fitted.notes += history.notes
        fitted.history += [{**row, "best": float(row["epoch"] == history.best_epoch)} for row in history.epochs]

    def _map(self, start: Start, study: Study) -> None:
        """Fit P(class | class of the source) on all training rows; the network stays as it is."""
        fitted, owner = start.fitted, start.index.sample_of_row
        source = fitted.network.tasks[0]
        told = fitted.instance_probabilities(fitted.inputs.tensors(study)[0])[source]
        tables: dict[str, NDArray[np.float64]] = {}
        for name, task in study.tasks.items():
            codes, patients = study.label_codes(name)[owner], study.patient_codes[0][owner]
            balanced = self.schema.training.class_weights == "balanced"
            weights = row_weights(codes, patients, len(task.classes), balanced)
            tables[name] = fit_mapping(told, codes, len(task.classes), weights)
        fitted.mapping = ClassMapping(source, tables)
        fitted.notes += fitted.mapping.describe({name: task.classes for name, task in study.tasks.items()})

    def _inner(self, study: Study, rows: TensorSet, index: RowIndex, seed: int) -> tuple[TensorSet, TensorSet | None]:
        """Return training rows, and those of inner patients that watch over the epochs."""
        if self.schema.training.patience is None or self.schema.head == "mapped":
            return rows, None
        split = watching_patients(study, self.schema.training.inner_share, seed)
        held_out = np.isin(index.sample_of_row, split.test)
        return take_rows(rows, torch.from_numpy(~held_out)), take_rows(rows, torch.from_numpy(held_out))

    def _plan(
        self,
        study: Study,
        inputs: NetworkInputs,
        rows: TensorSet,
        source: Source | None,
        elsewhere: FittedNetwork | None,
        seed: int,
    ) -> Plan:
        shapes = {name: tuple(rows_of(x).shape[1:]) for name, x in rows.inputs.items()}
        heads = planned_heads(self.schema, study.tasks)
        if self.schema.head == "mapped" and source is not None:
            heads = source_head(source, self.schema)
        elif self.schema.head == "mapped" and elsewhere is not None:
            heads = dict(elsewhere.plan["heads"])
        return network_plan(self.schema, shapes, heads, seed, inputs.fields)


def watching_patients(study: Study, share: float, seed: int) -> Fold:
    """Return one split whose test side, about `share` of the patients, watches over the epochs.

    Of the folds that share out the labels of all tasks together, the one whose training side lacks fewest classes,
    then the one whose test side lacks the labels of fewest tasks. The order of the tasks does not matter.

    Raises:
        StudyError: one patient only.
    """
    tasks = sorted(study.tasks)
    if len(tasks) == 1 or len(study.patient_codes[1]) < 2:
        return inner_split(study, tasks[0], share, seed)
    codes = [study.label_codes(name) for name in tasks]

    def lacking(fold: Fold) -> tuple[int, int]:
        absent = sum(len(absent_from_training(own, fold)) for own in codes)
        return absent, sum(bool((own[fold.test] < 0).all()) for own in codes)

    return min(folds_of_tasks(study, tasks, seed, max(2, round(1 / share))), key=lacking)


def _shared_parts(network: Network) -> list[str]:
    """Return the parts that pretraining and fit have in common."""
    keys = network.state_dict()
    return [
        name for name in ("backbones", "necks", "pools", "fusion") if any(key.startswith(f"{name}.") for key in keys)
    ]


def origins(config: NetworkConfig, sources: Sources) -> dict[str, Any]:
    """Return digests of what a recipe takes from elsewhere: the weights of `init`, and another study to pretrain on."""
    found: dict[str, Any] = {}
    if config.init is not None:
        found["init_digest"] = read_source(config.init, config).digest()
    if config.pretrain is not None and config.pretrain.study is not None:
        found["pretrain_digest"] = other_study(config, sources).fingerprint()
    return found
