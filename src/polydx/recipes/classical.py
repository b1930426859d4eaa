"""Classical recipes: preprocessing and one estimator a task, all fitted on the rows they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, StudyError
from polydx.preprocessing.pipeline import build_pipeline
from polydx.recipes.calibration import Sigmoids, fit_sigmoids
from polydx.recipes.catalogue import ESTIMATORS
from polydx.recipes.estimators import fit_estimator
from polydx.recipes.inputs import FittedInputs, StepsByModality, fit_features, study_axes
from polydx.recipes.protocol import Probabilities, State, tuned_state
from polydx.recipes.scaling import scaled
from polydx.recipes.task_fit import TaskFit, under
from polydx.study import FloatArray, IntArray, Study

INNER_FOLDS = 5


@dataclass
class FittedClassical:
    """A classical recipe after `fit`.

    Attributes:
        inputs: task -> fitted preprocessing (shared between tasks where no step looks at labels).
        tasks: task -> model.
    """

    inputs: dict[str, FittedInputs]
    tasks: dict[str, TaskFit]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)} probabilities, rows summing to 1."""
        made: dict[int, NDArray[np.float64]] = {}
        for inputs in self.inputs.values():
            if id(inputs) not in made:
                made[id(inputs)] = inputs.features(study)
        told = {name: fit.probabilities(made[id(self.inputs[name])]) for name, fit in self.tasks.items()}
        return scaled(told, self.temperatures)

    def remarks(self, study: Study) -> list[str]:
        """Return what the answers for this study do not rest on: categories that training rows do not know."""
        return list(dict.fromkeys(note for inputs in self.inputs.values() for note in inputs.unseen(study)))

    def decisions(self, study: Study, task: str) -> NDArray[np.float64]:
        """Return (N, 1) decision values of a task of two classes in training, else (N, k), before calibration."""
        values = self.tasks[task].estimator.decision_function(self.inputs[task].features(study))
        return np.asarray(values, dtype=np.float64).reshape(len(study), -1)

    def calibrate(self, task: str, decisions: NDArray[np.float64], codes: IntArray) -> None:
        """Fit a task's sigmoids to decisions on patients that their fits did not see, or say that there are too few.

        Args:
            task: whose training rows had at least two classes.
            decisions: (N, 1) or (N, k) as `decisions` gives them; NaN where a row has none.
            codes: (N,) class codes, -1 for no label.
        """
        fit = self.tasks[task]
        sigmoids = _sigmoids(decisions, np.where(codes >= 0, np.searchsorted(fit.codes, codes), -1), len(fit.codes))
        if sigmoids is None:
            self.notes.append(_uncalibrated(task))
        self.tasks[task] = replace(fit, sigmoids=sigmoids or Sigmoids.plain(len(fit.codes)))

    def features(self, study: Study, stage: str) -> FloatArray:
        """Return (N, D) preprocessed features; the only stage is `input`."""
        if stage != "input":
            raise ConfigError(f"a classical recipe has no stage '{stage}'; it has 'input'")
        return next(iter(self.inputs.values())).features(study)

    def state(self) -> State:
        """Return the fit as data: shared preprocessing is stored once."""
        config: dict[str, Any] = {"kind": "classical", "inputs": [], "tasks": {}, **tuned_state(self)}
        arrays: dict[str, NDArray[Any]] = {}
        distinct = list({id(i): i for i in self.inputs.values()}.values())
        for number, inputs in enumerate(distinct):
            described, found = inputs.state()
            config["inputs"].append(described)
            arrays |= {f"inputs{number}/{k}": v for k, v in found.items()}
        for name, fit in self.tasks.items():
            described, found = fit.state()
            described["inputs"] = next(n for n, i in enumerate(distinct) if i is self.inputs[name])
            config["tasks"][name] = described
            arrays |= {f"tasks/{name}/{k}": v for k, v in found.items()}
        return config, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedClassical:
        """Rebuild what `state` returned; runs on numpy alone."""
        inputs = [
            FittedInputs.from_state(part, under(arrays, f"inputs{number}/"))
            for number, part in enumerate(config["inputs"])
        ]
        tasks = {n: TaskFit.from_state(part, under(arrays, f"tasks/{n}/")) for n, part in config["tasks"].items()}
        own = {n: inputs[part["inputs"]] for n, part in config["tasks"].items()}
        return cls(own, tasks, config["thresholds"], config["temperatures"])


@dataclass(frozen=True)
class ClassicalRecipe:
    """What the YAML calls `kind: classical`.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved.
        model: name in `ESTIMATORS`.
        params: the estimator's parameters.
        steps: modality -> preprocessing steps; its keys are the modalities used.
        calibrate: fit sigmoids on inner patients where the model gives no probabilities; else decision values are
            log-odds until `FittedClassical.calibrate` is told of better.
    """

    name: str
    config: dict[str, Any]
    model: str
    params: Mapping[str, Any]
    steps: StepsByModality
    calibrate: bool = True

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities used."""
        return tuple(self.steps)

    def fit(self, study: Study, seed: int, log: Path | None = None) -> FittedClassical:
        """Fit preprocessing, one estimator a task, and calibration on inner patients where the model needs it."""
        supervised = self._supervised(study)
        shared = None if supervised else fit_features(study, self.steps)
        fitted = FittedClassical({}, {})
        for name in study.tasks:
            inputs, features = shared or fit_features(study, self.steps, study.label_codes(name))
            fitted.inputs[name] = inputs
            fitted.tasks[name], notes = self._fit_task(study, name, features, seed)
            fitted.notes += notes
        told = [note for inputs in fitted.inputs.values() for note in inputs.notes()]
        fitted.notes[:0] = dict.fromkeys(told)
        return fitted

    def _supervised(self, study: Study) -> bool:
        """Tell whether a step looks at labels; then each task needs a pipeline of its own."""
        axes = study_axes(study, self.steps)
        pipelines = [build_pipeline(self.steps[name], axis) for name, axis in axes.items() if axis is not None]
        return any(step.needs_labels for pipeline in pipelines for _, step in pipeline.steps)

    def _fit_task(self, study: Study, task: str, features: NDArray[np.float64], seed: int) -> tuple[TaskFit, list[str]]:
        codes = study.label_codes(task)
        labelled = np.flatnonzero(codes >= 0)
        present, classes = np.unique(codes[labelled]), len(study.tasks[task].classes)
        if len(present) < 2:
            found = study.tasks[task].classes[present[0]] if len(present) else "no label"
            return TaskFit(classes, present), [f"task '{task}': training rows hold {found} only; predicted as such"]
        patients = study.patient_codes[0][labelled]
        ranks = np.searchsorted(present, codes[labelled])
        estimator = fit_estimator(self.model, self.params, features[labelled], ranks, patients, seed)
        sigmoids, notes = None, []
        if ESTIMATORS[self.model].calibrated:
            if self.calibrate:
                sigmoids = self._calibrate(study.take(labelled), task, present, seed)
                notes = [] if sigmoids is not None else [_uncalibrated(task)]
            sigmoids = sigmoids or Sigmoids.plain(len(present))
        return TaskFit(classes, present, estimator, sigmoids), notes

    def _calibrate(self, study: Study, task: str, present: IntArray, seed: int) -> Sigmoids | None:
        """Refit everything without some patients, and fit sigmoids to the decisions on them, where any can be had."""
        from polydx.splits import inner_folds

        codes = np.searchsorted(present, study.label_codes(task))
        decisions = np.full((len(study), 1 if len(present) == 2 else len(present)), np.nan)
        try:
            folds = inner_folds(study, task, INNER_FOLDS, seed)
        except StudyError:
            return None  # one patient has all labels, or so few have that a fold would be empty
        for fold in folds:
            inner = study.take(fold.train)
            if len(np.unique(codes[fold.train])) < len(present):
                continue  # a class with one patient: its decisions cannot be had from this fold
            labels = inner.label_codes(task) if self._supervised(study) else None
            inputs, features = fit_features(inner, self.steps, labels)
            estimator = fit_estimator(
                self.model, self.params, features, codes[fold.train], inner.patient_codes[0], seed
            )
            held_out = estimator.decision_function(inputs.features(study.take(fold.test)))
            decisions[fold.test] = held_out.reshape(len(fold.test), -1)
        return _sigmoids(decisions, codes, len(present))


def _sigmoids(decisions: NDArray[np.float64], ranks: IntArray, classes: int) -> Sigmoids | None:
    """Fit sigmoids to the rows that have decisions and a class, 0 to `classes` - 1; None where no row has both."""
    held = np.isfinite(decisions).all(axis=1) & (ranks >= 0)
    if not held.any():
        return None
    values = decisions[held]
    return fit_sigmoids(values[:, 0] if classes == 2 else values, ranks[held], classes)


def _uncalibrated(task: str) -> str:
    return f"task '{task}': too few patients to calibrate decision values; taken as log-odds"
