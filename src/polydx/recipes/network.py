"""Network recipes: preprocessing, a network and its training, all fitted on the rows they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from polydx.augmentation.base import Chain, build_chain
from polydx.augmentation.spectra import AUGMENTATIONS
from polydx.config import NetworkConfig, Step
from polydx.errors import ConfigError, Problem, StudyError
from polydx.models.network import Network, build_network
from polydx.recipes.inputs import FittedInputs, StepsByModality, fit_inputs, input_problems, pool_mean
from polydx.recipes.protocol import Probabilities, State
from polydx.splits import inner_split
from polydx.study import FloatArray, RowIndex, Study
from polydx.training.logs import TensorBoardLog
from polydx.training.loop import Augment, fit
from polydx.training.losses import CrossEntropy, balanced_class_weights
from polydx.training.options import TrainingOptions
from polydx.training.predict import extract_features, predict_logits
from polydx.training.tensors import TensorSet, tensor_set
from polydx.training.threads import limited_threads


@dataclass(frozen=True)
class Scale:
    """One mean and standard deviation a modality, of all training values: keeps raw counts within a network's reach.

    Attributes:
        mean: of all values.
        sd: of all values, 1 where they are constant.
    """

    mean: float
    sd: float

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return (values - mean) / sd as float32."""
        return ((values - self.mean) / self.sd).astype(np.float32)


@dataclass
class FittedNetwork:
    """A network recipe after `fit`.

    Attributes:
        inputs: fitted preprocessing.
        scales: modality -> scale.
        network: in evaluation mode.
        plan: keyword arguments of `build_network` that make this architecture.
        threads: for prediction.
    """

    inputs: FittedInputs
    scales: dict[str, Scale]
    network: Network
    plan: dict[str, Any]
    threads: int = 1
    thresholds: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}; a sample with several spectra gets the mean of their probabilities."""
        tensors, index = self._instances(study)
        with limited_threads(self.threads):
            logits = predict_logits(self.network, tensors)
        found = {task: pool_mean(np.asarray(softmax(values, axis=1)), index) for task, values in logits.items()}
        return {task: p / p.sum(axis=1, keepdims=True) for task, p in found.items()}

    def features(self, study: Study, stage: str) -> FloatArray:
        """Return (N, D) activations: `<modality>.<stage>` of a backbone, or `embedding`."""
        tensors, index = self._instances(study)
        with limited_threads(self.threads):
            return pool_mean(extract_features(self.network, tensors, stage).astype(np.float64), index)

    def _instances(self, study: Study) -> tuple[dict[str, torch.Tensor], RowIndex]:
        """Return one input a row of the modality, and which belong to which sample."""
        arrays, index = _instances(self.inputs, study)
        return {name: torch.from_numpy(self.scales[name](v))[:, None] for name, v in arrays.items()}, index

    def state(self) -> State:
        """Return the fit as data."""
        described, arrays = self.inputs.state()
        config = {
            "kind": "network",
            "inputs": described,
            "scales": {name: [s.mean, s.sd] for name, s in self.scales.items()},
            "plan": self.plan,
            "thresholds": dict(self.thresholds),
        }
        found: dict[str, NDArray[Any]] = {f"inputs/{k}": v for k, v in arrays.items()}
        found |= {f"weights/{k}": v.detach().cpu().numpy() for k, v in self.network.state_dict().items()}
        return config, found

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedNetwork:
        """Rebuild what `state` returned."""
        own = {k.removeprefix("inputs/"): v for k, v in arrays.items() if k.startswith("inputs/")}
        weights = {
            k.removeprefix("weights/"): torch.from_numpy(np.array(v))
            for k, v in arrays.items()
            if k.startswith("weights/")
        }
        plan = dict(config["plan"])
        network = _network(plan)
        network.load_state_dict(weights)
        network.eval()
        scales = {name: Scale(mean, sd) for name, (mean, sd) in config["scales"].items()}
        return cls(FittedInputs.from_state(config["inputs"], own), scales, network, plan, 1, config["thresholds"])


@dataclass(frozen=True)
class NetworkRecipe:
    """What the YAML calls `kind: network`.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved.
        schema: the same, typed.
        threads: of one fit; part of what makes results repeat to the byte.
    """

    name: str
    config: dict[str, Any]
    schema: NetworkConfig
    threads: int = 1

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities used."""
        return tuple(self.schema.backbones)

    def fit(self, study: Study, seed: int, log: Path | None = None) -> FittedNetwork:
        """Fit preprocessing and network; stop early by the loss of inner patients, which take no part in learning."""
        inputs = fit_inputs(study, _steps(self.schema))
        arrays, index = _instances(inputs, study)
        scales = {name: Scale(float(v.mean()), float(v.std()) or 1.0) for name, v in arrays.items()}
        rows = _tensor_rows(study, {name: scales[name](v) for name, v in arrays.items()}, index)
        train, monitor = self._inner(study, rows, index, seed)
        plan = self._plan(study, arrays, seed)
        fitted = FittedNetwork(inputs, scales, _network(plan), plan, self.threads)
        with limited_threads(self.threads), TensorBoardLog(log) if log is not None else nullcontext() as logger:
            history = fit(
                fitted.network,
                train,
                monitor,
                self._options(),
                seed=seed,
                losses=self._losses(study, train),
                task_weights=self.schema.training.task_weights or None,
                augment=self._augmentation(train, inputs),
                logger=logger,
            )
        fitted.history = [{**row, "best": float(row["epoch"] == history.best_epoch)} for row in history.epochs]
        return fitted

    def _inner(
        self, study: Study, rows: TensorSet, index: RowIndex, seed: int
    ) -> tuple[TensorSet, TensorSet | None]:
        """Return training rows, and those of inner patients that watch over the epochs."""
        if self.schema.training.patience is None:
            return rows, None
        split = inner_split(study, next(iter(study.tasks)), self.schema.training.inner_share, seed)
        held_out = np.isin(index.sample_of_row, split.test)
        return _take(rows, ~held_out), _take(rows, held_out)

    def _plan(self, study: Study, arrays: Mapping[str, NDArray[np.float64]], seed: int) -> dict[str, Any]:
        schema = self.schema
        heads = {
            task: {"classes": len(study.tasks[task].classes), **_head(schema, task)} for task in study.tasks
        }
        neck = {"name": schema.neck.name, **schema.neck.options}
        return {
            "shapes": {name: [1, v.shape[1]] for name, v in arrays.items()},
            "backbones": {name: {"name": b.name, **b.options} for name, b in schema.backbones.items()},
            "necks": dict.fromkeys(schema.backbones, neck),
            "heads": heads,
            "seed": seed,
        }

    def _options(self) -> TrainingOptions:
        t = self.schema.training
        return TrainingOptions(
            epochs=t.epochs, batch_size=t.batch_size, lr=t.lr, weight_decay=t.weight_decay, optimiser=t.optimiser,
            schedule=t.schedule, gradient_clip=t.gradient_clip or 0.0, precision=t.precision, patience=t.patience or 0,
        )  # fmt: skip

    def _losses(self, study: Study, rows: TensorSet) -> dict[str, CrossEntropy]:
        """Cross-entropy a task; balanced weights count patients, not their samples."""
        losses = {}
        for name, task in study.tasks.items():
            weights = None
            if self.schema.training.class_weights == "balanced":
                weights = balanced_class_weights(rows.labels[name], len(task.classes), rows.patients)
            losses[name] = CrossEntropy(class_weights=weights, smoothing=self.schema.training.label_smoothing)
        return losses

    def _augmentation(self, rows: TensorSet, inputs: FittedInputs) -> dict[str, Augment]:
        return {
            name: _chain(steps).fit(rows.inputs[name], inputs.pipelines[name].axis_out)
            for name, steps in self.schema.augmentation.items()
            if steps
        }


def network_problems(config: NetworkConfig, study: Study, where: str) -> list[Problem]:
    """Return what keeps this configuration from being built and fitted on this study."""
    found = input_problems(study, _steps(config), where)
    for section, names, known in (
        ("heads", config.heads, study.tasks),
        ("training.task_weights", config.training.task_weights, study.tasks),
        ("preprocessing", config.preprocessing, config.backbones),
        ("augmentation", config.augmentation, config.backbones),
    ):
        found += [
            Problem(f"{where}.{section}.{name}", f"'{name}' is none of {', '.join(known)}")
            for name in names
            if name not in known
        ]
    if not found:
        found += _many_rows(config, study, where) or _build_problems(config, study, where)
    return found


def _many_rows(config: NetworkConfig, study: Study, where: str) -> list[Problem]:
    several = [name for name in config.backbones if study.rows[name].counts.max(initial=0) > 1]
    if len(config.backbones) > 1 and several:
        return [Problem(where, f"samples have several rows of '{several[0]}': a network of several modalities takes one each")]
    return []


def _build_problems(config: NetworkConfig, study: Study, where: str) -> list[Problem]:
    """Build the network and the augmentation once, on as few rows as show whether they fit."""
    recipe = NetworkRecipe(where, {}, config)
    few = {name: study.spectra(name) for name in config.backbones}
    try:
        lengths = {}
        for name, spectra in few.items():
            pipeline = _steps_pipeline(config, name, spectra.axis)
            axis = pipeline.axis_out
            points = len(axis) if axis is not None else _columns_out(pipeline, len(spectra.axis))
            lengths[name] = np.zeros((2, points))
            sample = torch.randn(4, 1, points, generator=torch.Generator().manual_seed(0))
            _chain(config.augmentation.get(name, [])).fit(sample, axis)
        plan = recipe._plan(study, lengths, 0)
        network = _network(plan).eval()
        recipe._options()
        with torch.inference_mode():
            network({name: torch.zeros(2, 1, v.shape[1]) for name, v in lengths.items()})
    except ConfigError as error:
        return [Problem(f"{where}.{p.where}", p.what) for p in error.problems] or [Problem(where, error.message)]
    return []


def _columns_out(pipeline: Any, points: int) -> int:
    """Return how many columns leave a pipeline whose last steps are no longer on the axis (PCA, selection)."""
    for _, step in reversed(pipeline.steps):
        for key in ("components", "k"):
            if isinstance(found := step.get_params().get(key), int):
                return found
    return points


def _steps_pipeline(config: NetworkConfig, name: str, axis: NDArray[np.float64]) -> Any:
    from polydx.preprocessing.pipeline import build_pipeline

    return build_pipeline(config.preprocessing.get(name, []), axis)


def _steps(config: NetworkConfig) -> StepsByModality:
    return {name: config.preprocessing.get(name, []) for name in config.backbones}


def _chain(steps: Sequence[Step]) -> Chain:
    return build_chain(steps, AUGMENTATIONS)


def _head(config: NetworkConfig, task: str) -> dict[str, Any]:
    head = config.heads.get(task)
    return {} if head is None else head.model_dump()


def _network(plan: Mapping[str, Any]) -> Network:
    shapes = {name: tuple(shape) for name, shape in plan["shapes"].items()}
    return build_network(shapes, **{k: v for k, v in plan.items() if k != "shapes"})


def _instances(inputs: FittedInputs, study: Study) -> tuple[dict[str, NDArray[np.float64]], RowIndex]:
    """Return one array a modality, rows in the order of the samples, and the samples they belong to."""
    rows = inputs.rows(study)
    first = study.rows[next(iter(rows))]
    if len(rows) > 1 and any((study.rows[name].counts != 1).any() for name in rows):
        raise StudyError("a network of several modalities needs exactly one row of each for every sample")
    return {name: values[study.rows[name].rows] for name, values in rows.items()}, RowIndex(
        first.starts, np.arange(len(first.rows))
    )


def _tensor_rows(study: Study, arrays: Mapping[str, NDArray[np.float32]], index: RowIndex) -> TensorSet:
    owner = index.sample_of_row
    labels = {name: study.label_codes(name)[owner] for name in study.tasks}
    return tensor_set(arrays, labels, study.patient_codes[0][owner])


def _take(rows: TensorSet, kept: NDArray[np.bool_]) -> TensorSet:
    mask = torch.from_numpy(kept)
    return TensorSet(
        {name: x[mask] for name, x in rows.inputs.items()},
        {task: y[mask] for task, y in rows.labels.items()},
        None if rows.patients is None else rows.patients[mask],
    )
