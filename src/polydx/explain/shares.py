"""Shares of named parts (columns of a table, modalities) in answers: by patient, by fold, and all together.

Shapes: `P` patients, `D` parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import StudyError
from polydx.explain.choice import Target
from polydx.explain.spectral import correlation
from polydx.explain.store import Explanation
from polydx.explain.subjects import Subject
from polydx.study import Study

Floats: TypeAlias = NDArray[np.float64]
Sharing: TypeAlias = Callable[[Subject, Study, Target], Floats]
"""A subject, the samples to explain and a class -> (N, D) shares."""

RESAMPLES, PARTS_TOLD = 2000, 8


@dataclass(frozen=True)
class FoldShares:
    """What one fit says of one class.

    Attributes:
        seed: of the run; None for a model.
        fold: of the run; None for a model.
        patients: (P,) that were explained.
        values: (P, D) mean over the samples of each.
    """

    seed: int | None
    fold: int | None
    patients: NDArray[np.object_]
    values: Floats


def explain_shares(
    subjects: Iterable[Subject],
    sharing: Sharing,
    chosen: Sequence[Target],
    able: Callable[[Study], NDArray[np.bool_]],
    *,
    any_class: bool = False,
    done: Callable[[Subject], None] | None = None,
) -> dict[Target, list[FoldShares]]:
    """Return class -> shares of its patients, each explained by the fit that did not see it.

    Args:
        subjects: fits with the samples each tested.
        sharing: makes the shares.
        chosen: classes to explain.
        able: which samples can be explained.
        any_class: explain every sample, whatever its label.
        done: called after each fit.

    Raises:
        StudyError: no sample of a class.
    """
    found: dict[Target, list[FoldShares]] = {target: [] for target in chosen}
    for subject in subjects:
        for target in chosen:
            wanted = able(subject.test)
            if not any_class:
                wanted = wanted & (subject.test.label_codes(target.task) == target.code)
            if wanted.any():
                own = subject.test.take(np.flatnonzero(wanted))
                found[target].append(by_patient(subject.seed, subject.fold, own, sharing(subject, own, target)))
        if done is not None:
            done(subject)
    empty = [target.label for target, folds in found.items() if not folds]
    if empty:
        raise StudyError(f"no sample of class {', '.join(empty)} of task '{chosen[0].task}' to explain")
    return found


def by_patient(seed: int | None, fold: int | None, study: Study, values: Floats) -> FoldShares:
    """Return shares (N, D) of a study's samples as the means of its patients."""
    codes, names = study.patient_codes
    means = np.array([values[codes == p].mean(axis=0) for p in range(len(names))])
    return FoldShares(seed, fold, names, means)


def of_shares(
    found: Mapping[Target, Sequence[FoldShares]], names: Sequence[str], about: Mapping[str, Any]
) -> Explanation:
    """Return shares as a table: the mean, and the mean size with a 95 % interval over patients.

    Args:
        found: class -> shares of every fold.
        names: of the D parts.
        about: recipe, method, modality, task, study and so on, which the counts are added to.
    """
    tables, rows, classes = [], [], []
    for target, folds in found.items():
        values = np.vstack([fold.values for fold in folds])
        people = np.concatenate([fold.patients for fold in folds])
        tables.append(_table(target, values, people, names))
        rows += [_rows(target, fold, names) for fold in folds]
        means = [fold.values.mean(axis=0) for fold in folds]
        pairs = [r for a, b in combinations(means, 2) if (r := correlation(a, b)) is not None] if len(names) > 2 else []
        entry = {"class": target.label, "against": target.against, "patients": len(set(people)), "fits": len(folds)}
        entry["correlation_of_folds"] = float(np.mean(pairs)) if pairs else None
        classes.append({**entry, "parts": tables[-1].head(PARTS_TOLD)[["part", "mean", "size"]].to_dict("records")})
    told = {
        **about,
        "patients": len({p for folds in found.values() for fold in folds for p in fold.patients}),
        "fits": max(map(len, found.values())),
        "classes": classes,
    }
    return Explanation(told, {"shares": pd.concat(tables, ignore_index=True)}, pd.concat(rows, ignore_index=True))


def _table(target: Target, values: Floats, people: NDArray[np.object_], names: Sequence[str]) -> pd.DataFrame:
    """Return part, mean, size, low and high, the largest first; a patient of several seeds counts once."""
    frame = pd.DataFrame(values, columns=list(names)).groupby(people).mean()
    sizes = pd.DataFrame(np.abs(values), columns=list(names)).groupby(people).mean().to_numpy()
    draws = np.random.default_rng(0).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    low, high = np.quantile(sizes[draws].mean(axis=1), [0.025, 0.975], axis=0)
    enough = len(sizes) > 1
    table = pd.DataFrame(
        {
            "task": target.task,
            "class": target.label,
            "part": list(names),
            "mean": frame.mean().to_numpy(),
            "size": sizes.mean(axis=0),
            "low": low if enough else np.nan,
            "high": high if enough else np.nan,
        }
    )
    return table.sort_values("size", ascending=False, kind="stable")


def _rows(target: Target, fold: FoldShares, names: Sequence[str]) -> pd.DataFrame:
    """Return task, class, seed, fold, patient, part and value, a row a patient and part."""
    return pd.DataFrame(
        {
            "task": target.task,
            "class": target.label,
            "seed": fold.seed,
            "fold": fold.fold,
            "patient": np.repeat(fold.patients, len(names)),
            "part": np.tile(np.array(names, dtype=object), len(fold.patients)),
            "value": fold.values.ravel(),
        }
    )
