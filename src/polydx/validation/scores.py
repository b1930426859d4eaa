"""From the predictions table to the figures of metrics.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from polydx.errors import ConfigError
from polydx.study import Task
from polydx.validation.comparisons import compare_primary
from polydx.validation.figures import figure
from polydx.validation.measure import WITHIN_PATIENT, Measured, Resampling
from polydx.validation.metrics import METRICS, PER_CLASS
from polydx.validation.outcomes import Outcomes, leaves, under_parent
from polydx.validation.table import read_outcomes

RESAMPLES = 2000
LEVELS = ("patient", "sample")
SAMPLE_LEVEL_TASK = (
    "no patient-level figures: the task is answered for each sample, and samples of one patient may differ"
)


class Level(NamedTuple):
    """All recipes at one level of one task, each on the units it answers; none, and why, where there are no figures."""

    measured: Mapping[str, Measured]
    reason: str = ""
    resampling: Resampling = Resampling(RESAMPLES, (0,))


def score_predictions(
    predictions: pd.DataFrame,
    tasks: Mapping[str, Task],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    primary: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the `recipes` and `comparisons` of metrics.json.

    Args:
        predictions: the predictions table.
        tasks: the study's tasks.
        resamples: of patients, for bootstrap intervals and tests.
        seed: of the resampling; the stream of a task and level does not depend on what else is scored.
        primary: the declared endpoint: `recipe`, `versus`, `task`, `level`, `metric`; None for no comparisons.

    Raises:
        PolydxError: the table is not what it should be (see `read_outcomes`).
        ConfigError: the primary endpoint names an unknown task, level or metric.
    """
    _check_primary(primary, tasks)
    raw = read_outcomes(predictions, tasks)
    scored = {
        name: {level: measure_level(own, level, resamples, seed) for level in LEVELS} if own is not None else reason
        for name, (own, reason) in tasks_to_score(raw, tasks).items()
    }
    recipes = [str(r) for r in predictions["recipe"].unique()]
    comparisons = []
    if primary is not None:
        at = scored.get(primary["task"], f"no predictions for task '{primary['task']}'")
        level = Level({}, at) if isinstance(at, str) else at[primary["level"]]
        comparisons = compare_primary(primary, level.measured, recipes, level.reason, level.resampling)
    return {
        "recipes": {r: {"tasks": _tasks_of(r, scored)} for r in recipes},
        "comparisons": comparisons,
    }


def figures_table(recipes: Mapping[str, Any]) -> pd.DataFrame:
    """Return the figures of all recipes as a table, one row a figure.

    Args:
        recipes: the `recipes` of metrics.json, or of what `score_predictions` returns.

    Returns:
        Columns `recipe`, `task`, `level`, `metric`, `estimate`, `low` and `high` (95 %), `method`; NaN where there is
        no estimate or interval. Figures of single classes (`per_class`) are left out.
    """
    rows = [
        (recipe, task, level, metric, found["estimate"], found.get("low"), found.get("high"), found.get("method"))
        for recipe, own in recipes.items()
        for task, levels in own["tasks"].items()
        for level, metric, found in _figures(levels)
    ]
    columns = ["recipe", "task", "level", "metric", "estimate", "low", "high", "method"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["estimate", "low", "high"], np.float64))


def _figures(levels: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield level, metric and figure of a task."""
    for level in LEVELS:
        for metric in METRICS if levels[level] else ():
            yield level, metric, levels[level][metric]
    if WITHIN_PATIENT in levels:
        yield "sample", WITHIN_PATIENT, levels[WITHIN_PATIENT]


def _check_primary(primary: Mapping[str, Any] | None, tasks: Mapping[str, Task]) -> None:
    if primary is None:
        return
    known = {"task": [*tasks, *_roots(tasks).values()], "level": LEVELS, "metric": (*METRICS, WITHIN_PATIENT)}
    for key, names in known.items():
        if primary.get(key) not in names:
            raise ConfigError(f"validation.primary.{key} is '{primary.get(key)}'; expected one of {', '.join(names)}")


def _roots(tasks: Mapping[str, Task]) -> dict[str, str]:
    """Return the tasks that have tasks below and none above -> the name of their leaves."""
    parents = {task.parent[0] for task in tasks.values() if task.parent is not None}
    return {name: f"{name}/leaves" for name, task in tasks.items() if task.parent is None and name in parents}


def tasks_to_score(raw: Mapping[str, Outcomes], tasks: Mapping[str, Task]) -> dict[str, tuple[Outcomes | None, str]]:
    """Return the outcomes to score under each name, or None and the reason."""
    found: dict[str, tuple[Outcomes | None, str]] = {}
    roots = _roots(tasks)
    for name, own in raw.items():
        above = tasks[name].parent
        if above is None:
            found[name] = own, ""
        else:
            found[name] = under_parent(own, raw.get(above[0]), tasks[above[0]].classes.index(above[1])), ""
        if name in roots:
            tree = leaves(name, tasks, raw)
            found[roots[name]] = (None, tree) if isinstance(tree, str) else (tree, "")
    return found


def measure_level(own: Outcomes, level: str, resamples: int, seed: int) -> Level:
    """Measure all recipes at one level under the same resamples, or say why there is nothing to measure."""
    units, reason = units_at(own, level)
    if units is None:
        return Level({}, reason)
    shared = "patient" if own.one_unit_a_patient else level  # where a sample is a patient, both levels say the same
    resampling = Resampling(resamples, (seed, crc32(f"{own.name}/{shared}".encode())))
    return Level(resampling.measure(units, units.recipes), resampling=resampling)


def units_at(own: Outcomes, level: str) -> tuple[Outcomes | None, str]:
    """Return the labelled units of a task at one level, or None and the reason."""
    if level == "patient" and own.level == "sample" and not own.one_unit_a_patient:
        return None, SAMPLE_LEVEL_TASK
    units = (own.to_patients() if level == "patient" else own).labelled()
    return (units, "") if len(units) else (None, f"no {level} has a label")


def _tasks_of(recipe: str, scored: Mapping[str, Mapping[str, Level] | str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, levels in scored.items():
        if isinstance(levels, str):
            found[name] = {key: value for level in LEVELS for key, value in _nothing(level, levels).items()}
        elif any(recipe in level.measured for level in levels.values()) or not any(
            level.measured for level in levels.values()
        ):
            found[name] = _task_of(recipe, levels)
    return found


def _task_of(recipe: str, levels: Mapping[str, Level]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, level in levels.items():
        found |= {name: level_figures(level.measured[recipe])} if level.measured else _nothing(name, level.reason)
    samples = levels["sample"].measured
    if samples:
        found[WITHIN_PATIENT] = figure(samples[recipe], WITHIN_PATIENT)
    return found


def _nothing(level: str, reason: str) -> dict[str, Any]:
    return {level: None, f"{level}_reason": reason}


def level_figures(measured: Measured) -> dict[str, Any]:
    """Return all figures of a recipe at one level: counts, overall metrics, and each class against the rest."""
    o = measured.outcomes
    patients = {c: len(np.unique(o.patients[o.labels == k])) for k, c in enumerate(o.classes)}
    found: dict[str, Any] = {"n": len(o), "n_patients": len(o.patient_names), "classes": patients}
    found |= {name: figure(measured, name) for name in METRICS}
    found["per_class"] = {
        c: {"n": int((o.labels == k).sum())} | {name: figure(measured, name, k) for name in PER_CLASS}
        for k, c in enumerate(o.classes)
    }
    return found
