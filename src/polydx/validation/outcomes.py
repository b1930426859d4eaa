"""What was predicted and what was true, for one task: arrays that every figure is computed from.

Shapes: `S` seeds of a recipe, `N` units, `P` patients, `K` classes. A unit is a sample, or a patient once
`to_patients` has averaged their samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from polydx.study import UNLABELLED, IntArray, Level, Task
from polydx.validation.clusters import sum_by_cluster

Floats = NDArray[np.float64]

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Outcomes:
    """Predictions of all recipes for one task, on one list of units; a recipe may lack some (see `of`).

    Attributes:
        name: the task, or `TASK/leaves`.
        classes: names; a code is a position here.
        level: level of the task's labels.
        positive: code of the positive class of two, else None.
        units: (N,) sample ids, or patients.
        patients: (N,) patient codes of the units, 0 .. P-1.
        patient_names: (P,) names behind the codes.
        labels: (N,) class codes, -1 = unlabelled.
        seeds: recipe -> its seeds.
        probabilities: recipe -> (S, N, K); NaN where a seed did not test the unit.
        thresholds: recipe -> (S, N) decision threshold on the positive class.
    """

    name: str
    classes: tuple[str, ...]
    level: Level
    positive: int | None
    units: NDArray[np.object_]
    patients: IntArray
    patient_names: NDArray[np.object_]
    labels: IntArray
    seeds: Mapping[str, tuple[int, ...]]
    probabilities: Mapping[str, Floats]
    thresholds: Mapping[str, Floats]

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.units)

    @property
    def recipes(self) -> tuple[str, ...]:
        """Recipes that predict this task."""
        return tuple(self.probabilities)

    @property
    def one_unit_a_patient(self) -> bool:
        """True where samples are patients, so that both levels say the same."""
        return len(self.units) == len(np.unique(self.patients))

    def tested(self, recipe: str) -> NDArray[np.bool_]:
        """(S, N) True where the seed has a prediction for the unit."""
        return ~np.isnan(self.probabilities[recipe][:, :, 0])

    def take(self, chosen: NDArray[np.bool_]) -> Outcomes:
        """Return the chosen units alone, patients numbered anew."""
        present, codes = np.unique(self.patients[chosen], return_inverse=True)
        return replace(
            self,
            units=self.units[chosen],
            patients=codes.astype(np.int64),
            patient_names=self.patient_names[present],
            labels=self.labels[chosen],
            probabilities={r: p[:, chosen] for r, p in self.probabilities.items()},
            thresholds={r: t[:, chosen] for r, t in self.thresholds.items()},
        )

    def of(self, recipe: str) -> Outcomes:
        """Return the units that a recipe has a prediction for; it has none where a sample lacks all its modalities."""
        there = np.asarray(self.tested(recipe).any(axis=0))
        return self if there.all() else self.take(there)

    def labelled(self) -> Outcomes:
        """Return the units that have a label and at least one prediction; seeds and recipes that tested none go."""
        seen = np.zeros(len(self), dtype=np.bool_)
        for recipe in self.recipes:
            seen |= self.tested(recipe).any(axis=0)
        chosen = self.take(seen & (self.labels != UNLABELLED))
        used = {r: np.flatnonzero(chosen.tested(r).any(axis=1)) for r in self.recipes}
        used = {r: seeds for r, seeds in used.items() if len(seeds)}
        return replace(
            chosen,
            seeds={r: tuple(self.seeds[r][s] for s in seeds) for r, seeds in used.items()},
            probabilities={r: chosen.probabilities[r][seeds] for r, seeds in used.items()},
            thresholds={r: chosen.thresholds[r][seeds] for r, seeds in used.items()},
        )

    def to_patients(self) -> Outcomes:
        """Return one unit a patient: mean probability and mean threshold over the patient's samples.

        All samples of a patient count, with or without a label of their own; the patient's label is the one their
        labelled samples share (that they share one is checked when the table is read).
        """
        count = len(self.patient_names)
        labels = np.full(count, UNLABELLED, dtype=np.int64)
        np.maximum.at(labels, self.patients, self.labels)
        probabilities, thresholds = {}, {}
        for recipe, p in self.probabilities.items():
            probabilities[recipe] = np.stack([_mean_of_patients(seed, self.patients, count) for seed in p])
            known = np.where(self.tested(recipe), self.thresholds[recipe], np.nan)
            means = [_mean_of_patients(seed[:, None], self.patients, count)[:, 0] for seed in known]
            thresholds[recipe] = np.stack(means)
        return replace(
            self,
            units=self.patient_names,
            patients=np.arange(count, dtype=np.int64),
            labels=labels,
            probabilities=probabilities,
            thresholds=thresholds,
        )


def _mean_of_patients(values: Floats, patients: IntArray, count: int) -> Floats:
    """Return (P, M) means over each patient's samples that are not NaN; NaN where there is none."""
    known = ~np.isnan(values)
    sums = sum_by_cluster(np.where(known, values, 0.0), patients, count)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / sum_by_cluster(known.astype(np.float64), patients, count))


def under_parent(child: Outcomes, parent: Outcomes | None, code: int) -> Outcomes:
    """Return a child task on the samples it is asked of: those whose true parent class is not known to be another."""
    if parent is None:
        return child
    return child.take((parent.labels == code) | (parent.labels == UNLABELLED))


def leaves(root: str, tasks: Mapping[str, Task], raw: Mapping[str, Outcomes]) -> Outcomes | str:
    """Return the leaves of a task tree as one task: P(class) x P(subclass | class), summing to 1.

    Args:
        root: a task without a parent that has tasks under its classes.
        tasks: all tasks.
        raw: outcomes of the tasks, all on the same samples.

    Returns:
        Outcomes named `ROOT/leaves`; or why there are none (a class with two tasks under it has no one set of leaves).
    """
    tree = _tree(root, tasks)
    absent = [name for name in tree if name not in raw]
    if absent:
        return f"no predictions for task '{absent[0]}'"
    doubled = [tasks[name].parent for name in tree[1:]]
    if len(set(doubled)) < len(doubled):
        return "two tasks hang under one class: their leaves do not sum to 1"
    recipes = [r for r in raw[root].recipes if all(r in raw[name].recipes for name in tree)]
    for recipe in recipes:
        if any((raw[name].tested(recipe) != raw[root].tested(recipe)).any() for name in tree):
            return f"recipe '{recipe}' does not predict all tasks of the tree for the same samples"
    if not recipes:
        return "no recipe predicts all tasks of the tree"
    paths, probabilities, labels = _expand(root, tasks, raw, recipes)
    short = [path[-1] for path in paths]
    return replace(
        raw[root],
        name=f"{root}/leaves",
        classes=tuple(s if short.count(s) == 1 else "/".join(p) for s, p in zip(short, paths, strict=True)),
        level="sample" if any(tasks[name].level == "sample" for name in tree) else "patient",
        positive=None,
        labels=labels,
        seeds={r: raw[root].seeds[r] for r in recipes},
        probabilities=probabilities,
        thresholds={r: raw[root].thresholds[r] for r in recipes},
    )


def _tree(root: str, tasks: Mapping[str, Task]) -> list[str]:
    """Return the root and all tasks below it."""
    below = [name for name, task in tasks.items() if task.parent is not None and task.parent[0] == root]
    return [root, *(deeper for name in below for deeper in _tree(name, tasks))]


def _expand(
    name: str, tasks: Mapping[str, Task], raw: Mapping[str, Outcomes], recipes: Sequence[str]
) -> tuple[list[tuple[str, ...]], dict[str, Floats], IntArray]:
    """Return paths of the leaves below a task, their probabilities given that the task is asked, and labels."""
    own = raw[name]
    paths: list[tuple[str, ...]] = []
    parts: dict[str, list[Floats]] = {r: [] for r in recipes}
    labels = np.full(len(own), UNLABELLED, dtype=np.int64)
    for code, label in enumerate(own.classes):
        below = next((n for n, task in tasks.items() if task.parent == (name, label)), None)
        if below is None:
            labels[own.labels == code] = len(paths)
            paths.append((label,))
            for r in recipes:
                parts[r].append(own.probabilities[r][:, :, code : code + 1])
            continue
        deeper, given, codes = _expand(below, tasks, raw, recipes)
        known = (codes != UNLABELLED) & ((own.labels == code) | (own.labels == UNLABELLED))
        labels[known] = codes[known] + len(paths)
        paths += [(label, *path) for path in deeper]
        for r in recipes:
            parts[r].append(own.probabilities[r][:, :, code : code + 1] * given[r])
    return paths, {r: np.concatenate(p, axis=2) for r, p in parts.items()}, labels
