"""Operating points: the threshold of a two-class task, chosen on patients that the fit did not see.

A unit (a patient for tasks of patients, else a sample) is positive when its probability reaches the threshold.
Between two neighbouring probabilities every threshold decides alike, so one of each interval is tried, its middle;
units of the same probability always stand on the same side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.config import ALL_TASKS, OperatingPoint
from polydx.errors import Problem
from polydx.study import Study, Task

UNDECIDED = 0.5

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


def units(study: Study, task: str, probabilities: Float) -> tuple[Float, Mask]:
    """Return (U,) probabilities of the positive class and (U,) whether it is the label.

    Args:
        study: N samples.
        task: a two-class task of the study; of patients, then a unit is a patient with the mean of its samples.
        probabilities: (N, 2); samples with NaN or without a label are left out.
    """
    codes, code = study.label_codes(task), study.tasks[task].positive_code
    known = (codes >= 0) & np.isfinite(probabilities).all(axis=1)
    scores, positive = probabilities[known, 1 if code is None else code], codes[known] == code
    if study.tasks[task].level == "sample":
        return scores, positive
    _, first, owner = np.unique(study.patient_codes[0][known], return_index=True, return_inverse=True)
    return np.bincount(owner, weights=scores) / np.bincount(owner), positive[first]


def choose_threshold(scores: Float, positive: Mask, point: OperatingPoint) -> tuple[float, str | None]:
    """Return the threshold that the rule chooses, and a note where it could not do as it should.

    Where two thresholds serve the rule equally well, the one nearer to 0.5 is taken.

    Args:
        scores: (U,) probabilities of the positive class.
        positive: (U,) whether a unit is positive.
        point: the rule.
    """
    p, n = int(positive.sum()), int((~positive).sum())
    if p == 0 or n == 0:
        return (
            UNDECIDED,
            f"inner folds hold {'negatives' if n else 'positives' if p else 'no labels'} only; decided at 0.5",
        )
    cuts = candidates(scores)
    hits = p - np.searchsorted(np.sort(scores[positive]), cuts)
    alarms = n - np.searchsorted(np.sort(scores[~positive]), cuts)
    order = _preference(point, hits, alarms, p, n)
    best = np.lexsort((np.abs(cuts - UNDECIDED), *(-column for column in reversed(order))))[0]
    note = None
    if hits[best] == 0 or alarms[best] == n:
        kind = "positive" if hits[best] == 0 else "negative"
        note = f"on inner folds, the operating point '{point.rule}' decides every {kind} wrongly"
    return float(cuts[best]), note


def candidates(scores: Float) -> Float:
    """Return one threshold of every interval between the distinct scores, and one beyond either end, rising."""
    levels = np.unique(scores)
    middles = (levels[:-1] + levels[1:]) / 2
    middles = np.where(middles > levels[:-1], middles, levels[1:])  # neighbours among floats have no middle
    above = max((levels[-1] + 1) / 2, np.nextafter(levels[-1], np.inf))
    return np.concatenate([[levels[0] / 2], middles, [above]])


def _preference(
    point: OperatingPoint, hits: NDArray[np.int64], alarms: NDArray[np.int64], p: int, n: int
) -> list[NDArray[Any]]:
    """Return what to maximise, the most important first; whole numbers where the rule allows, so that ties are ties."""
    if point.rule == "youden":
        return [hits * n - alarms * p]
    if point.rule == "sensitivity":
        return [(hits >= _least(point.target, p)).astype(np.int64), n - alarms, hits]
    if point.rule == "specificity":
        return [(n - alarms >= _least(point.target, n)).astype(np.int64), hits, n - alarms]
    costs = point.cost
    weights = (1.0, 1.0) if costs is None else (costs.false_negative, costs.false_positive)
    return [-np.round((p - hits) * weights[0] + alarms * weights[1], 9)]


def _least(target: float | None, count: int) -> int:
    """Return how many of `count` reach the target; a share that is the target but for rounding does."""
    return int(np.ceil((target or 0.0) * count - 1e-9))


def resolve_points(asked: Mapping[str, OperatingPoint], tasks: Mapping[str, Task]) -> dict[str, OperatingPoint]:
    """Return two-class task -> rule; a task's own rule goes before the rule of all."""
    two = [name for name, task in tasks.items() if len(task.classes) == 2]
    found = {name: asked.get(name, asked.get(ALL_TASKS)) for name in two}
    return {name: point for name, point in found.items() if point is not None}


def point_problems(asked: Mapping[str, OperatingPoint], tasks: Mapping[str, Task], where: str) -> list[Problem]:
    """Return what keeps operating points from being fitted for these tasks."""
    found = []
    for name in asked:
        place = f"{where}.operating_point" if name == ALL_TASKS else f"{where}.operating_point.{name}"
        if name == ALL_TASKS and not resolve_points(asked, tasks):
            found.append(Problem(place, "the study has no task of two classes to decide"))
        elif name != ALL_TASKS and name not in tasks:
            found.append(Problem(place, f"'{name}' is none of {', '.join(tasks)}"))
        elif name != ALL_TASKS and len(tasks[name].classes) != 2:
            classes = len(tasks[name].classes)
            found.append(Problem(place, f"'{name}' has {classes} classes; a threshold decides between two"))
    return found
