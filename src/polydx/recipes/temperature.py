"""Temperature scaling: one number a task that makes probabilities less sure or surer, fitted on held-out patients.

A unit is a patient for tasks of patients, with the mean of their samples' probabilities after scaling, else a sample.
What is minimised is the cross-entropy between the units' classes and these, with Platt's soft targets: of a class with
n units the target is (n + 1) / (n + K), the rest is shared out. So a few patients that were all told rightly do not
make a model certain; with many, it is the negative log-likelihood.

References: Guo, Pleiss, Sun & Weinberger (2017), On Calibration of Modern Neural Networks, ICML; Platt (1999),
Probabilistic Outputs for Support Vector Machines (the targets).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.config import ALL_TASKS
from polydx.errors import Problem
from polydx.params import unknown
from polydx.recipes.scaling import LEAST, at_temperature
from polydx.study import IntArray, Study

LARGEST = 20.0
"""Temperatures lie between 1 / LARGEST and LARGEST."""
STEPS = 81
"""Temperatures tried, before the best of them is refined: for patients with several samples there may be two minima."""

Float = NDArray[np.float64]


def choose_temperature(study: Study, task: str, probabilities: Float) -> tuple[float, str | None]:
    """Return the temperature of a task, and a note where it could not be had or lies at its limit.

    Args:
        study: N samples.
        task: one of the study's.
        probabilities: (N, K), from fits that did not see the patient; rows with NaN or without a label are left out.
    """
    codes = study.label_codes(task)
    known = (codes >= 0) & np.isfinite(probabilities).all(axis=1)
    present = np.unique(codes[known])
    if len(present) < 2:
        what = "one class only" if len(present) else "no labels"
        return 1.0, f"inner folds hold {what}; probabilities are not scaled"
    by_patient = study.tasks[task].level != "sample"
    owners = study.patient_codes[0][known] if by_patient else np.flatnonzero(known)
    found = fit_temperature(probabilities[known], codes[known], owners)
    absent = [label for code, label in enumerate(study.tasks[task].classes) if code not in present]
    if 1.001 / LARGEST < found < LARGEST / 1.001:
        return found, f"the temperature was fitted without patients of {', '.join(absent)}" if absent else None
    told = "say next to nothing of the classes" if found > 1 else "are far less sure than they are right"
    return found, f"the temperature reached its limit, {found:.3g}: on inner folds, the probabilities {told}"


def fit_temperature(probabilities: Float, codes: IntArray, owners: IntArray) -> float:
    """Return the temperature of the least cross-entropy; 1 where no other is better.

    Args:
        probabilities: (N, K).
        codes: (N,) class codes 0..K-1, one and the same for the rows of a unit.
        owners: (N,) which rows are one unit.
    """
    from scipy.optimize import minimize_scalar  # long to import; serving needs it not

    _, first, unit = np.unique(owners, return_index=True, return_inverse=True)
    targets, rows = _soft_targets(codes[first], probabilities.shape[1]), np.bincount(unit)[:, None]

    def loss(log_temperature: float) -> float:
        told = np.zeros_like(targets)
        np.add.at(told, unit, at_temperature(probabilities, np.exp(log_temperature)))
        return float(-(targets * np.log(np.maximum(told / rows, LEAST))).sum(axis=1).mean())

    tried = np.linspace(-np.log(LARGEST), np.log(LARGEST), STEPS)
    best = int(np.argmin([loss(t) for t in tried]))
    around = (tried[max(best - 1, 0)], tried[min(best + 1, STEPS - 1)])
    refined: Any = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(refined.x)) if refined.fun < loss(0.0) - 1e-12 else 1.0


def _soft_targets(codes: IntArray, classes: int) -> Float:
    """Return (U, K) of units' (U,) codes."""
    counts = np.bincount(codes, minlength=classes)[codes][:, None]
    own = codes[:, None] == np.arange(classes)
    return np.where(own, (counts + 1) / (counts + classes), 1 / (counts + classes))


def resolve_calibration(asked: Mapping[str, str], tasks: Iterable[str]) -> tuple[str, ...]:
    """Return the tasks that get a temperature; a task's own word goes before the word for all."""
    return tuple(name for name in tasks if asked.get(name, asked.get(ALL_TASKS)) == "temperature")


def calibration_problems(asked: Mapping[str, str], tasks: Iterable[str], where: str) -> list[Problem]:
    """Return the tasks that the study does not have."""
    known = list(tasks)
    odd = [name for name in asked if name != ALL_TASKS and name not in known]
    return [Problem(f"{where}.calibration.{name}", unknown("task", name, known)) for name in odd]
