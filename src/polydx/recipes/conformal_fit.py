"""The scores behind prediction sets, from fits that did not see the patients they score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.conformal import FEWEST, ConformalScores
from polydx.recipes.protocol import Probabilities
from polydx.study import Study, Task

Float = NDArray[np.float64]


def can_narrow(study: Study) -> bool:
    """Tell whether any task has the patients of every class that it takes to leave a class out of a set."""
    return any(_fewest(study, name) >= FEWEST for name in study.tasks)


def _fewest(study: Study, name: str) -> int:
    codes, owners = study.label_codes(name), study.patient_codes[0]
    return min(len(np.unique(owners[codes == code])) for code in range(len(study.tasks[name].classes)))


def no_scores(study: Study) -> ConformalScores:
    """Return what makes sets of all classes."""
    return ConformalScores({name: dict.fromkeys(task.classes, np.empty(0)) for name, task in study.tasks.items()})


def scores_of(study: Study, told: Probabilities) -> ConformalScores:
    """Return one score a patient and class: of the mean probability over those of their samples that have the class.

    Args:
        study: N samples.
        told: task -> (N, K), from fits that did not see the patient; rows of NaN are left out.
    """
    return ConformalScores({name: _scores(study, name, task, told[name]) for name, task in study.tasks.items()})


def _scores(study: Study, name: str, task: Task, told: Float) -> dict[str, Float]:
    codes, owners = study.label_codes(name), study.patient_codes[0]
    found = {}
    for code, label in enumerate(task.classes):
        own = (codes == code) & np.isfinite(told).all(axis=1)
        _, patient = np.unique(owners[own], return_inverse=True)
        sums = np.bincount(patient, weights=told[own, code])
        means = np.clip(sums / np.maximum(np.bincount(patient), 1), 0.0, 1.0)  # rounding
        found[label] = np.sort(1 - means)
    return found
