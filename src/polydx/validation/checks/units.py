"""A task at the level it is asked: patients, or samples that are not independent of each other.

Shapes: `N` samples, `U` units of the task, `C` categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polydx.study import UNLABELLED, IntArray, Study

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Which share of a unit falls into which category, without the zeros.

    Attributes:
        units: (S,) unit of each entry.
        categories: (S,) category of each entry.
        weights: (S,) share; those of a unit sum to 1.
    """

    units: IntArray
    categories: IntArray
    weights: Floats


@dataclass(frozen=True)
class TaskUnits:
    """The labelled units of a task.

    Attributes:
        task: its name.
        classes: names.
        labels: (U,) codes.
        patients: (U,) patient codes.
        member: (N,) unit of each sample, -1 for samples without a label.
    """

    task: str
    classes: tuple[str, ...]
    labels: IntArray
    patients: IntArray
    member: IntArray

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.labels)

    def means(self, values: Floats) -> Floats:
        """Return (U,) mean of each unit's (N,) values that are known; NaN where none is."""
        use = (self.member >= 0) & np.isfinite(values)
        total = np.bincount(self.member[use], weights=values[use], minlength=len(self))
        with np.errstate(invalid="ignore"):
            return np.asarray(total / np.bincount(self.member[use], minlength=len(self)))

    def shares(self, codes: IntArray) -> Shares:
        """Return the share of each unit's samples in each category, from (N,) category codes."""
        use = self.member >= 0
        size = int(codes.max(initial=0)) + 1
        keys, counts = np.unique(self.member[use] * size + codes[use], return_counts=True)
        units, categories = keys // size, keys % size
        return Shares(units, categories, counts / np.bincount(self.member[use], minlength=len(self))[units])

    def asked_classes(self) -> IntArray:
        """Return the classes to tell from the rest: one of two is enough."""
        present = np.unique(self.labels)
        return present[1:] if len(present) == 2 else present


def task_units(study: Study, name: str) -> TaskUnits:
    """Return the labelled patients of a patient-level task, or the labelled samples of a sample-level one."""
    task, codes, owners = study.tasks[name], study.label_codes(name), study.patient_codes[0]
    if task.level == "patient":
        labels = np.full(len(study.patient_codes[1]), UNLABELLED, dtype=np.int64)
        np.maximum.at(labels, owners, codes)
        known = labels != UNLABELLED
        number = np.where(known, np.cumsum(known) - 1, -1)
        return TaskUnits(name, task.classes, labels[known], np.flatnonzero(known), number[owners])
    known = codes != UNLABELLED
    number = np.where(known, np.cumsum(known) - 1, -1)
    return TaskUnits(name, task.classes, codes[known], owners[known], number)
