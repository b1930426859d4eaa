"""The predictions table, checked once at the edge and turned into arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import PolydxError, Problem, counted
from polydx.study import UNLABELLED, IntArray, Task
from polydx.validation.outcomes import DEFAULT_THRESHOLD, Outcomes

COLUMNS = (
    *("recipe", "seed", "fold", "sample", "patient", "task", "level"),
    *("class", "label", "probability", "threshold", "modalities"),
)
SUM_TOLERANCE = 1e-4  # float32 softmax over many classes stays well inside

Mask = NDArray[np.bool_]


class _Axes(NamedTuple):
    """Names along the axes that all tasks share, and the code of each row of the table on them."""

    recipes: list[str]
    seeds: list[int]
    samples: NDArray[np.object_]
    recipe: IntArray
    seed: IntArray
    sample: IntArray


def read_outcomes(predictions: pd.DataFrame, tasks: Mapping[str, Task]) -> dict[str, Outcomes]:
    """Return the outcomes of every task in the table, all on one list of samples.

    Args:
        predictions: one row a recipe, seed, sample, task and class, with the columns `COLUMNS`.
        tasks: name -> task; its classes give the order of the K axis.

    Raises:
        PolydxError: the table is not what it should be; lists recipe, seed, fold and sample of each problem: missing
            columns or cells, unknown tasks, classes or labels, a class twice or not at all, probabilities outside
            0-1 or not summing to 1, samples with two patients or labels, or samples that one recipe has and another
            has not, although they have a modality that it uses.
    """
    _check_columns(predictions)
    table = predictions.reset_index(drop=True)
    _raise(_row_problems(table, tasks))
    axes = _axes(table)
    patients = pd.Series(table["patient"].to_numpy()).groupby(axes.sample).agg(["first", "nunique"])
    _raise(
        Problem(f"sample '{axes.samples[i]}'", "belongs to more than one patient")
        for i in patients.index[patients["nunique"] > 1]
    )
    names, codes = np.unique(patients["first"].to_numpy(dtype=str), return_inverse=True)
    return {
        name: _read_task(table, axes, name, task, codes.astype(np.int64), names.astype(object))
        for name, task in tasks.items()
        if (table["task"] == name).any()
    }


def _check_columns(predictions: pd.DataFrame) -> None:
    missing = [c for c in COLUMNS if c not in predictions.columns and c not in ("modalities", "threshold")]
    if missing:
        raise PolydxError(f"the predictions table lacks {', '.join(missing)}; expected columns {', '.join(COLUMNS)}")
    if predictions.empty:
        raise PolydxError("the predictions table is empty: there is nothing to score")


def _raise(problems: Iterator[Problem] | list[Problem]) -> None:
    found = list(problems)
    if found:
        raise PolydxError(f"{counted(len(found), 'problem')} in the predictions table", found)


def _where(table: pd.DataFrame, row: int) -> str:
    r = table.iloc[row]
    return f"recipe '{r['recipe']}' seed {r['seed']} fold {r['fold']} sample '{r['sample']}'"


def _at_rows(table: pd.DataFrame, bad: Mask, what: str) -> Iterator[Problem]:
    for row in np.flatnonzero(bad):
        values = {key: table[key].iloc[row] for key in ("task", "class", "label", "level", "probability")}
        yield Problem(_where(table, int(row)), what.format(**values))


def _row_problems(table: pd.DataFrame, tasks: Mapping[str, Task]) -> Iterator[Problem]:
    """Yield what is wrong with single rows."""
    for column in ("recipe", "sample", "patient"):
        yield from _at_rows(table, table[column].isna().to_numpy(), f"{column} is empty")
    seeds = pd.to_numeric(table["seed"], errors="coerce").to_numpy(dtype=np.float64)
    yield from _at_rows(table, ~(seeds == np.round(seeds)), "seed is not a whole number")
    known = table["task"].isin(list(tasks)).to_numpy()
    yield from _at_rows(table, ~known, f"task '{{task}}' is none of {', '.join(tasks)}")
    p = pd.to_numeric(table["probability"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~((p >= -SUM_TOLERANCE) & (p <= 1 + SUM_TOLERANCE))
    yield from _at_rows(table, wrong, "probability of '{class}' is {probability}, expected 0 to 1")
    for name, task in tasks.items():
        own, classes = (table["task"] == name).to_numpy(), ", ".join(task.classes)
        unknown = ~table["class"].isin(task.classes).to_numpy()
        yield from _at_rows(table, own & unknown, f"class '{{class}}' is none of those of '{name}': {classes}")
        strange = (table["label"].notna() & ~table["label"].isin(task.classes)).to_numpy()
        yield from _at_rows(table, own & strange, f"label '{{label}}' is none of the classes of '{name}': {classes}")
        other = (table["level"] != task.level).to_numpy()
        yield from _at_rows(table, own & other, f"level of '{name}' is '{{level}}', the task's is '{task.level}'")


def _axes(table: pd.DataFrame) -> _Axes:
    recipe, recipes = pd.factorize(table["recipe"])
    seed, seeds = pd.factorize(table["seed"], sort=True)
    sample, samples = pd.factorize(table["sample"].astype(str), sort=True)
    codes = (np.asarray(c, dtype=np.int64) for c in (recipe, seed, sample))
    return _Axes([str(r) for r in recipes], [int(s) for s in seeds], np.asarray(samples, dtype=object), *codes)


def _read_task(
    table: pd.DataFrame, axes: _Axes, name: str, task: Task, patients: IntArray, patient_names: NDArray[np.object_]
) -> Outcomes:
    rows = np.flatnonzero(table["task"] == name)
    own = table.iloc[rows].reset_index(drop=True)
    at = (axes.recipe[rows], axes.seed[rows], axes.sample[rows])
    position = {label: code for code, label in enumerate(task.classes)}
    probabilities = _probabilities(own, at, axes, name, position)
    thresholds = _thresholds(own, at, probabilities.shape[:3], name)
    labels = _labels(own, at[2], len(axes.samples), name, position)
    if task.level == "patient":
        _raise(_patient_conflicts(labels, patients, patient_names, name))
    tested = ~np.isnan(probabilities[..., 0])
    used = {r: (i, np.flatnonzero(tested[i].any(axis=1))) for i, r in enumerate(axes.recipes) if tested[i].any()}
    return Outcomes(
        name=name,
        classes=task.classes,
        level=task.level,
        positive=task.positive_code,
        units=axes.samples,
        patients=patients,
        patient_names=patient_names,
        labels=labels,
        seeds={r: tuple(axes.seeds[s] for s in seeds) for r, (_, seeds) in used.items()},
        probabilities={r: probabilities[i][seeds] for r, (i, seeds) in used.items()},
        thresholds={r: thresholds[i][seeds] for r, (i, seeds) in used.items()},
    )


def _probabilities(
    own: pd.DataFrame, at: tuple[IntArray, IntArray, IntArray], axes: _Axes, task: str, position: Mapping[str, int]
) -> NDArray[np.float64]:
    """Return (recipes, S, N, K) probabilities, NaN where a seed did not test the sample."""
    code = own["class"].map(position).to_numpy(dtype=np.int64)
    times = np.zeros((len(axes.recipes), len(axes.seeds), len(axes.samples), len(position)), dtype=np.int64)
    np.add.at(times, (*at, code), 1)
    _raise(_completeness_problems(own, times[at], task, list(position)))
    found = np.full(times.shape, np.nan)
    found[(*at, code)] = own["probability"].to_numpy(dtype=np.float64)
    off = np.asarray(np.abs(found[at].sum(axis=1) - 1) > SUM_TOLERANCE)
    _raise(_once_a_sample(own, off, f"probabilities of '{task}' do not sum to 1"))
    _raise(_coverage_problems(axes, task, np.asarray(times.sum(axis=3) > 0), _may_lack(own, at, axes)))
    return np.asarray(np.clip(found, 0, 1))


def _once_a_sample(own: pd.DataFrame, bad: Mask, what: str) -> Iterator[Problem]:
    """Yield one problem a recipe, seed and sample, though each has a row a class."""
    first = np.zeros(len(own), dtype=np.bool_)
    first[np.flatnonzero(bad)[~own[bad].duplicated(["recipe", "seed", "sample"]).to_numpy()]] = True
    yield from _at_rows(own, first, what)


def _completeness_problems(own: pd.DataFrame, times: IntArray, task: str, classes: list[str]) -> Iterator[Problem]:
    """Yield samples that have a class twice or not at all; `times` is (rows, K)."""
    twice, never = np.asarray((times > 1).any(axis=1)), np.asarray((times == 0).any(axis=1))
    yield from _once_a_sample(own, twice, f"stands more than once for a class of '{task}'")
    yield from _once_a_sample(own, never, f"lacks a class of '{task}'; expected one row each for {', '.join(classes)}")


def _may_lack(own: pd.DataFrame, at: tuple[IntArray, IntArray, IntArray], axes: _Axes) -> Mask:
    """Return (recipes, N) whether a sample has, as far as the table tells, none of the modalities a recipe uses."""
    if "modalities" not in own:
        return np.zeros((len(axes.recipes), len(axes.samples)), dtype=np.bool_)
    repeated = pd.DataFrame({"recipe": at[0], "sample": at[2]}).duplicated().to_numpy(dtype=np.bool_)
    first = np.flatnonzero(~repeated)
    lists = [[] if listed is None else list(listed) for listed in own["modalities"].iloc[first]]
    names = sorted({name for listed in lists for name in listed})
    used = np.zeros((len(axes.recipes), len(names)), dtype=np.bool_)
    there = np.zeros((len(axes.samples), len(names)), dtype=np.bool_)
    for recipe, sample, listed in zip(at[0][first], at[2][first], lists, strict=True):
        columns = [names.index(name) for name in listed]
        used[recipe, columns], there[sample, columns] = True, True
    known = np.outer(used.any(axis=1), there.any(axis=1))
    return np.asarray(known & ((used.astype(np.int64) @ there.T.astype(np.int64)) == 0))


def _coverage_problems(axes: _Axes, task: str, tested: Mask, may_lack: Mask) -> Iterator[Problem]:
    """Yield samples that one recipe predicts and another, though it could, does not, under the same seed.

    Args:
        axes: what the numbers stand for.
        task: its name.
        tested: (recipes, S, N).
        may_lack: (recipes, N) samples that have none of a recipe's modalities.
    """
    for s, seed in enumerate(axes.seeds):
        users = np.flatnonzero(tested[:, s].any(axis=1))
        anyone = tested[:, s].any(axis=0)
        for r in users:
            lacking = np.flatnonzero(anyone & ~tested[r, s] & ~may_lack[r])
            if len(lacking):
                first = ", ".join(f"'{axes.samples[i]}'" for i in lacking[:3]) + (" ..." if len(lacking) > 3 else "")
                yield Problem(
                    f"recipe '{axes.recipes[r]}' seed {seed} sample {first}",
                    f"has no prediction of '{task}', though other recipes have and it has a modality of this recipe; a "
                    "recipe leaves out only samples that have none of its modalities",
                )


def _labels(own: pd.DataFrame, sample: IntArray, count: int, task: str, position: Mapping[str, int]) -> IntArray:
    codes = own["label"].map(position).fillna(UNLABELLED).to_numpy(dtype=np.int64)
    lowest, highest = np.full(count, len(position), dtype=np.int64), np.full(count, UNLABELLED, dtype=np.int64)
    np.minimum.at(lowest, sample, codes)
    np.maximum.at(highest, sample, codes)
    torn = np.asarray(lowest != highest)[sample]
    _raise(
        Problem(f"sample '{name}'", f"has two different labels of '{task}'")
        for name in own.loc[torn, "sample"].unique()
    )
    return highest


def _patient_conflicts(
    labels: IntArray, patients: IntArray, names: NDArray[np.object_], task: str
) -> Iterator[Problem]:
    known = labels != UNLABELLED
    kinds = pd.Series(labels[known]).groupby(patients[known]).nunique()
    for patient in kinds.index[kinds > 1]:
        yield Problem(f"patient '{names[patient]}'", f"has two different labels of '{task}', a patient-level task")


def _thresholds(
    own: pd.DataFrame, at: tuple[IntArray, IntArray, IntArray], shape: tuple[int, ...], task: str
) -> NDArray[np.float64]:
    """Return (recipes, S, N) thresholds; 0.5 where the table has none."""
    if "threshold" not in own:
        return np.full(shape, DEFAULT_THRESHOLD)
    given = pd.to_numeric(own["threshold"], errors="coerce").to_numpy(dtype=np.float64)
    known = ~np.isnan(given)
    lowest, highest = np.full(shape, np.inf), np.full(shape, -np.inf)
    np.minimum.at(lowest, tuple(a[known] for a in at), given[known])
    np.maximum.at(highest, tuple(a[known] for a in at), given[known])
    torn = np.asarray((lowest < highest)[at])
    _raise(_once_a_sample(own, torn, f"has two different thresholds of '{task}'"))
    return np.where(np.isfinite(highest), highest, DEFAULT_THRESHOLD)
