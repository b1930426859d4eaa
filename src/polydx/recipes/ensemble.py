"""Several recipes as one: the mean of their probabilities, or a model over them that inner patients taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, counted
from polydx.params import unknown
from polydx.recipes.estimators import fit_estimator
from polydx.recipes.inputs import StandIn, check_present, has_any
from polydx.recipes.kinds import Networks, rebuild
from polydx.recipes.out_of_fold import folds_of_tasks, out_of_fold
from polydx.recipes.protocol import Fitted, Probabilities, Recipe, State, remarks, stream_seed, tuned_state
from polydx.recipes.scaling import scaled
from polydx.recipes.task_fit import TaskFit, under
from polydx.study import FloatArray, Study


@dataclass(frozen=True)
class Copies:
    """Fits of one member with different seeds.

    Attributes:
        fits: at least one.
        modalities: of which a sample needs one for the member to answer.
    """

    fits: Sequence[Fitted]
    modalities: tuple[str, ...]

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}: the mean over the fits; NaN where a sample has none of the modalities."""
        there = self.answers(study)
        found = {name: np.full((len(study), len(task.classes)), np.nan) for name, task in study.tasks.items()}
        if there.any():
            part = study if there.all() else study.take(np.flatnonzero(there))
            for name, values in _mean([fit.predict_proba(part) for fit in self.fits]).items():
                found[name][there] = values
        return found

    def answers(self, study: Study) -> NDArray[np.bool_]:
        """Return (N,) whether the member can answer for a sample."""
        return has_any(study, self.modalities)


@dataclass(frozen=True)
class Stacker:
    """A model over the members' probabilities side by side.

    Attributes:
        model: of one task.
        stand_ins: member -> what stands in for its (N, K) probabilities where it cannot answer: their mean over
            training rows, and, where training rows had such gaps, a column that tells them.
    """

    model: TaskFit
    stand_ins: Mapping[str, StandIn]

    def probabilities(self, told: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return (N, K) from member -> (N, K) with NaN where it cannot answer."""
        return self.model.probabilities(stacked(told, self.stand_ins))

    def state(self) -> State:
        """Return the model as data."""
        config, arrays = self.model.state()
        config["gaps"] = {name: found.gaps for name, found in self.stand_ins.items()}
        return config, arrays | {f"mean/{name}": found.mean for name, found in self.stand_ins.items()}

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Stacker:
        """Rebuild what `state` returned."""
        gaps = config["gaps"]
        return cls(TaskFit.from_state(config, arrays), {n: StandIn(arrays[f"mean/{n}"], g) for n, g in gaps.items()})


def stacked(told: Mapping[str, NDArray[np.float64]], stand_ins: Mapping[str, StandIn]) -> NDArray[np.float64]:
    """Return (N, D): the members' probabilities with stand-ins for gaps, then what tells the gaps training rows had."""
    there = {name: _known(told[name]) for name in stand_ins}
    blocks = [found.fill(told[name], there[name]) for name, found in stand_ins.items()]
    return np.hstack([*blocks, *(found.told(there[name]) for name, found in stand_ins.items() if found.gaps)])


@dataclass
class FittedEnsemble:
    """An ensemble after `fit`.

    Attributes:
        members: name -> its fits.
        stackers: task -> model over the members' probabilities side by side; a task without one gets their mean.
    """

    members: dict[str, Copies]
    stackers: dict[str, Stacker] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)} probabilities, rows summing to 1, from the members that can answer for a sample.

        Raises:
            StudyError: no member can answer for a sample: it has none of their modalities.
        """
        check_present(study, list(dict.fromkeys(m for member in self.members.values() for m in member.modalities)))
        told = {name: member.predict_proba(study) for name, member in self.members.items()}
        found = _mean(list(told.values()))
        by_task = {task: {name: answers[task] for name, answers in told.items()} for task in self.stackers}
        found |= {task: stacker.probabilities(by_task[task]) for task, stacker in self.stackers.items()}
        return scaled(found, self.temperatures)

    def remarks(self, study: Study) -> list[str]:
        """Return what the members have to say of a study."""
        return list(dict.fromkeys(f"{n}: {r}" for n, m in self.members.items() for r in remarks(m.fits[0], study)))

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
            "kind": "ensemble", "members": {}, "stackers": {}, **tuned_state(self),
            "modalities": {name: list(member.modalities) for name, member in self.members.items()},
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
    def from_state(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], networks: Networks | None = None
    ) -> FittedEnsemble:
        """Rebuild what `state` returned; `networks` as in `rebuild`."""
        members = {
            name: Copies(
                [rebuild(c, under(arrays, f"members/{name}/{i}/"), networks) for i, c in enumerate(listed)],
                tuple(config["modalities"][name]),
            )
            for name, listed in config["members"].items()
        }
        stackers = {n: Stacker.from_state(c, under(arrays, f"stackers/{n}/")) for n, c in config["stackers"].items()}
        return cls(members, stackers, config["thresholds"], config["temperatures"])


@dataclass(frozen=True)
class EnsembleRecipe:
    """What the YAML calls `kind: ensemble`.

    Attributes:
        name: its key in the YAML.
        config: its section, resolved, with the members' own.
        members: name -> recipe.
            A member learns from the samples that have one of its modalities, and answers for such.
        method: `average` of the members that can answer for a sample, or `stacking`: a multinomial logistic regression
            a task on the members' probabilities for patients that their fits on inner folds did not see. The members
            are then fitted to all training rows.
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
            for note in [*_left_out(member, study), *dict.fromkeys(n for fit in member.fits for n in fit.notes)]
        ]
        if self.method == "stacking":
            self._stack(fitted, study, seed)
        return fitted

    def _copies(self, name: str, study: Study, seed: int, log: Path | None = None) -> Copies:
        seeds = [seed, *(stream_seed(seed, name, repeat) for repeat in range(1, self.repeats))]
        logs = [None if log is None else log / f"{name}-{number}" for number in range(self.repeats)]
        recipe = self.members[name]
        part = study.having(recipe.modalities)
        return Copies([recipe.fit(part, s, own) for s, own in zip(seeds, logs, strict=True)], recipe.modalities)

    def _stack(self, fitted: FittedEnsemble, study: Study, seed: int) -> None:
        folds = folds_of_tasks(study, list(study.tasks), seed)
        told = {
            name: out_of_fold(partial(self._copies, name), study, folds, seed, recipe.modalities)
            for name, recipe in self.members.items()
        }
        there = {name: has_any(study, recipe.modalities) for name, recipe in self.members.items()}
        for task in study.tasks:
            stacker = _fit_stacker(study, task, {name: answers[task] for name, answers in told.items()}, there, seed)
            if stacker is None:
                fitted.notes.append(
                    f"task '{task}': too few patients to stack on inner folds; the members are averaged"
                )
            else:
                fitted.stackers[task] = stacker


def _fit_stacker(
    study: Study, task: str, told: Mapping[str, NDArray[np.float64]], there: Mapping[str, NDArray[np.bool_]], seed: int
) -> Stacker | None:
    """Fit to the members' (N, K) out-of-fold probabilities; None where fewer than two classes have any.

    A row counts where every member that can answer for it has an answer from a fit without its patient.
    """
    codes = study.label_codes(task)
    answered = {name: _known(values) for name, values in told.items()}
    whole = np.all([answered[name] | ~there[name] for name in told], axis=0)
    known = (codes >= 0) & whole & np.any(list(answered.values()), axis=0)
    present, ranks = np.unique(codes[known], return_inverse=True)
    if len(present) < 2 or not all(answered[name][known].any() for name in told):
        return None
    rows = {name: values[known] for name, values in told.items()}
    stand_ins = {name: StandIn.of(values, answered[name][known]) for name, values in rows.items()}
    patients = study.patient_codes[0][known]
    model = fit_estimator("logistic_regression", {}, stacked(rows, stand_ins), ranks, patients, seed)
    return Stacker(TaskFit(len(study.tasks[task].classes), present, model), stand_ins)


def _left_out(member: Copies, study: Study) -> list[str]:
    """Return how many samples a member cannot learn from."""
    without = int((~member.answers(study)).sum())
    if not without:
        return []
    return [f"learned without {counted(without, 'sample')} with none of {', '.join(member.modalities)}"]


def _known(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (N,) whether a row of (N, K) has probabilities."""
    return np.asarray(np.isfinite(values).all(axis=1))


def _mean(told: Sequence[Probabilities]) -> Probabilities:
    """Return the mean over those that answer; NaN where none does."""
    return {name: _mean_of(np.stack([t[name] for t in told])) for name in told[0]}


def _mean_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average (R, N, K) over R without the rows that are NaN."""
    there = np.isfinite(values)
    return np.asarray(np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0))
