"""Several recipes as one: the mean of their probabilities, or a model over them that inner patients taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError
from polydx.params import unknown
from polydx.recipes.estimators import fit_estimator
from polydx.recipes.kinds import rebuild
from polydx.recipes.out_of_fold import folds_of_tasks, out_of_fold
from polydx.recipes.protocol import Fitted, Probabilities, Recipe, State, stream_seed
from polydx.recipes.task_fit import TaskFit, under
from polydx.study import FloatArray, Study


@dataclass(frozen=True)
class Copies:
    """Fits of one member with different seeds.

    Attributes:
        fits: at least one.
    """

    fits: Sequence[Fitted]

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}: the mean over the fits."""
        return _mean([fit.predict_proba(study) for fit in self.fits])


@dataclass
class FittedEnsemble:
    """An ensemble after `fit`.

    Attributes:
        members: name -> its fits.
        stackers: task -> model over the members' probabilities side by side; a task without one gets their mean.
    """

    members: dict[str, Copies]
    stackers: dict[str, TaskFit] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)} probabilities, rows summing to 1."""
        told = [member.predict_proba(study) for member in self.members.values()]
        found = _mean(told)
        return found | {n: fit.probabilities(np.hstack([t[n] for t in told])) for n, fit in self.stackers.items()}

    def features(self, study: Study, stage: str) -> FloatArray:
        """Return (N, D) activations of a member's first fit: `<member>:<stage of the member>`.

        Raises:
            ConfigError: no such member, or the member has no such stage.
        """
        name, _, cut = stage.partition(":")
        if name not in self.members:
            raise ConfigError(f"stage '{stage}': {unknown('member', name, self.members)} (write `member:stage`)")
        return self.members[name].fits[0].features(study, cut)

    def state(self) -> State:
        """Return the fit as data: every member's own state, and the stackers'."""
        config: dict[str, Any] = {
            "kind": "ensemble", "members": {}, "stackers": {}, "thresholds": dict(self.thresholds),
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {}
        for name, member in self.members.items():
            config["members"][name] = []
            for number, fit in enumerate(member.fits):
                described, found = fit.state()
                config["members"][name].append(described)
                arrays |= {f"members/{name}/{number}/{k}": v for k, v in found.items()}
        for name, stacker in self.stackers.items():
            config["stackers"][name], found = stacker.state()
            arrays |= {f"stackers/{name}/{k}": v for k, v in found.items()}
        return config, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedEnsemble:
        """Rebuild what `state` returned."""
        members = {
            name: Copies([rebuild(c, under(arrays, f"members/{name}/{i}/")) for i, c in enumerate(listed)])
            for name, listed in config["members"].items()
        }
        stackers = {n: TaskFit.from_state(c, under(arrays, f"stackers/{n}/")) for n, c in config["stackers"].items()}
        return cls(members, stackers, config["thresholds"])


@dataclass(frozen=True)
class EnsembleRecipe:
    """What the YAML calls `kind: ensemble`.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved, with the members' own.
        members: name -> recipe.
        method: `average`, or `stacking`: a multinomial logistic regression a task on the members' probabilities for
            patients that their fits on inner folds did not see. The members are then fitted to all training rows.
        repeats: fits of each member with seeds of their own, averaged.

    Reference: Wolpert (1992), Neural Networks 5(2), 241-259 (stacking).
    """

    name: str
    config: dict[str, Any]
    members: Mapping[str, Recipe]
    method: Literal["average", "stacking"] = "average"
    repeats: int = 1

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that any member uses."""
        return tuple(dict.fromkeys(m for recipe in self.members.values() for m in recipe.modalities))

    def fit(self, study: Study, seed: int, log: Path | None = None) -> FittedEnsemble:
        """Fit every member to all rows; for stacking also to inner folds, and a model to what those say of the rest."""
        fitted = FittedEnsemble({name: self._copies(name, study, seed, log) for name in self.members})
        fitted.notes = [
            f"{name}: {note}"
            for name, member in fitted.members.items()
            for note in dict.fromkeys(n for fit in member.fits for n in fit.notes)
        ]
        if self.method == "stacking":
            self._stack(fitted, study, seed)
        return fitted

    def _copies(self, name: str, study: Study, seed: int, log: Path | None = None) -> Copies:
        seeds = [seed, *(stream_seed(seed, name, repeat) for repeat in range(1, self.repeats))]
        logs = [None if log is None else log / f"{name}-{number}" for number in range(self.repeats)]
        return Copies([self.members[name].fit(study, s, own) for s, own in zip(seeds, logs, strict=True)])

    def _stack(self, fitted: FittedEnsemble, study: Study, seed: int) -> None:
        folds = folds_of_tasks(study, list(study.tasks), seed)
        told = [out_of_fold(partial(self._copies, name), study, folds, seed) for name in self.members]
        for task in study.tasks:
            stacker = _fit_stacker(study, task, np.hstack([t[task] for t in told]), seed)
            if stacker is None:
                fitted.notes.append(
                    f"task '{task}': too few patients to stack on inner folds; the members are averaged"
                )
            else:
                fitted.stackers[task] = stacker


def _fit_stacker(study: Study, task: str, probabilities: NDArray[np.float64], seed: int) -> TaskFit | None:
    """Fit to (N, members x K) out-of-fold probabilities; None where fewer than two classes have any."""
    codes = study.label_codes(task)
    known = (codes >= 0) & np.isfinite(probabilities).all(axis=1)
    present, ranks = np.unique(codes[known], return_inverse=True)
    if len(present) < 2:
        return None
    patients = study.patient_codes[0][known]
    model = fit_estimator("logistic_regression", {}, probabilities[known], ranks, patients, seed)
    return TaskFit(len(study.tasks[task].classes), present, model)


def _mean(told: Sequence[Probabilities]) -> Probabilities:
    return {name: np.mean([t[name] for t in told], axis=0) for name in told[0]}
