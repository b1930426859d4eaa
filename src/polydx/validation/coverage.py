"""Prediction sets against the truth: how often they hold it, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polydx.study import Study, Task
from polydx.validation.intervals import wilson


def coverage(sets: pd.Series, labels: pd.Series, task: Task) -> dict[str, Any] | None:
    """Return how prediction sets did, or None where no unit has a label.

    Args:
        sets: unit -> classes of its set.
        labels: unit -> class, or None.
        task: whose sets they are.

    Returns:
        `n`; `coverage`, the share of sets that hold the truth, with Wilson's 95 % interval; the same by class in
        `per_class`; `mean_size` in classes.
    """
    known = labels.dropna()
    if known.empty:
        return None
    own = sets.loc[known.index]
    held = np.array([label in kept for label, kept in zip(known, own, strict=True)])
    per_class = {c: _share(held[(known == c).to_numpy()]) for c in task.classes if (known == c).any()}
    return {**_share(held), "per_class": per_class, "mean_size": float(own.map(len).mean())}


def coverages(answers: pd.DataFrame, study: Study, unit: str) -> dict[str, dict[str, Any]]:
    """Return task -> `coverage` for the tasks whose answers have a column `TASK set`.

    Args:
        answers: one row a unit.
        study: the samples that were asked, with their labels.
        unit: `patient` or `sample`, the column of `answers` that names it.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, task in study.tasks.items():
        if f"{name} set" not in answers or (unit == "patient" and task.level == "sample"):
            continue
        done = coverage(answers.set_index(unit)[f"{name} set"], _labels(study, name, unit), task)
        if done is not None:
            found[name] = {"unit": unit, **done}
    return found


def _labels(study: Study, name: str, unit: str) -> pd.Series:
    codes, classes = study.label_codes(name), study.tasks[name].classes
    texts: Mapping[int, str | None] = {-1: None, **dict(enumerate(classes))}
    labels = pd.Series([texts[int(c)] for c in codes], index=study.ids if unit == "sample" else study.patients)
    return labels.dropna().groupby(level=0).first()


def _share(held: np.ndarray) -> dict[str, Any]:
    low, high = wilson(float(held.mean()), len(held))
    return {"n": len(held), "coverage": {"estimate": float(held.mean()), "low": low, "high": high, "method": "wilson"}}
