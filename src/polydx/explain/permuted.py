"""What answers are worth when a column of a table is another patient's: permutation importance, in two measures.

In nats: by how much the surprise at the right answer grows, patient by patient. In AUROC: by how much the ranking of
all patients of a seed, each answered by the fit that did not see them, gets worse.

Shapes: `N` samples or patients, `D` columns, `R` repeats, `K` classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import StudyError
from polydx.explain.agnostic import permuted_scores
from polydx.explain.agnostic.scores import CERTAIN
from polydx.explain.choice import Target
from polydx.explain.shares import FoldShares, by_patient
from polydx.explain.subjects import Subject
from polydx.explain.tabular import table_of
from polydx.study import IntArray, RowIndex, Study, Task
from polydx.validation.ranking import weighted_ranking

Floats: TypeAlias = NDArray[np.float64]
REPEATS = 10


@dataclass(frozen=True)
class Permuted:
    """What one fit answers with every column as it is, and with each as another patient's.

    Attributes:
        seed: of the run; None for a model.
        fold: of the run; None for a model.
        samples: that were asked about; all have a label and a row of the table.
        codes: (N,) of their classes.
        told: (N, K) probabilities.
        changed: (D, R, N, K) probabilities with one column changed.
    """

    seed: int | None
    fold: int | None
    samples: Study
    codes: IntArray
    told: Floats
    changed: Floats

    def losses(self) -> FoldShares:
        """Return by how much the surprise at the right answer grows, in nats, the mean over repeats."""
        rows = np.arange(len(self.codes))
        before, after = (-np.log(np.maximum(p[..., rows, self.codes], CERTAIN)) for p in (self.told, self.changed))
        return by_patient(self.seed, self.fold, self.samples, np.asarray((after - before).mean(axis=1).T))


def permute_columns(
    subjects: Iterable[Subject],
    modality: str,
    task: str,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    done: Callable[[Subject], None] | None = None,
) -> list[Permuted]:
    """Return what each fit answers about the samples it tested, with each column as another patient's.

    A patient of the table lends the values of a whole patient: rows of one patient go to rows of one patient, so that a
    column that is the same at all visits stays so. Lenders are the fit's training patients, each as likely.

    Args:
        subjects: fits with the samples each tested.
        modality: of a table.
        task: whose labelled samples are asked about.
        repeats: how often each column is lent, R.
        seed: of the draws.
        done: called after each fit.

    Raises:
        StudyError: no labelled sample has a row of the table, or no training patient.
    """
    found = []
    for subject in subjects:
        wanted = subject.test.present(modality) & (subject.test.label_codes(task) >= 0)
        if wanted.any():
            rng = np.random.default_rng([seed, subject.fold or 0])
            found.append(_permuted(subject, subject.test.take(np.flatnonzero(wanted)), modality, task, repeats, rng))
        if done is not None:
            done(subject)
    if not found:
        raise StudyError(f"no labelled sample of task '{task}' has a row of '{modality}' to explain")
    return found


def _permuted(
    subject: Subject, study: Study, modality: str, task: str, repeats: int, rng: np.random.Generator
) -> Permuted:
    index, table, codes = study.rows[modality], table_of(study, modality), study.label_codes(task)
    rows = {**study.rows, modality: RowIndex(index.starts, np.arange(len(index.rows)))}  # none serves two samples

    def score(frame: pd.DataFrame) -> Floats:
        asked = replace(study, modalities={**study.modalities, modality: replace(table, frame=frame)}, rows=rows)
        return np.asarray(subject.fitted.predict_proba(asked)[task])

    frame = table.frame.iloc[index.rows].reset_index(drop=True)
    donors, lend = _lenders(study, subject.train, modality, rng)
    changed = permuted_scores(score, frame, donors, lend, repeats)
    return Permuted(subject.seed, subject.fold, study, codes, score(frame), changed)


def _lenders(
    study: Study, train: Study, modality: str, rng: np.random.Generator
) -> tuple[pd.DataFrame, Callable[[], IntArray]]:
    """Return the rows of training patients, and a draw of which of them lends to each row of a study's samples.

    Raises:
        StudyError: no training patient has a row.
    """
    lending = _places(train, modality).drop_duplicates().sort_values(["patient", "place"], kind="stable")
    if lending.empty:
        raise StudyError(f"no training patient has a row of '{modality}' to hold others against")
    donors = table_of(train, modality).frame.iloc[lending["row"].to_numpy()].reset_index(drop=True)
    counts = lending.groupby("patient").size().to_numpy()
    starts, borrowing = np.r_[0, np.cumsum(counts)[:-1]], _places(study, modality)
    people, place = (borrowing[name].to_numpy() for name in ("patient", "place"))

    def lend() -> IntArray:
        lender = rng.integers(len(counts), size=people.max() + 1)  # one a patient
        first = rng.integers(counts[lender])  # where the lender's rows are begun with
        own = lender[people]
        return np.asarray(starts[own] + (first[people] + place) % counts[own])

    return donors, lend


def _places(study: Study, modality: str) -> pd.DataFrame:
    """Return patient, row of the table, and its place among the patient's rows, for each row of each sample."""
    index = study.rows[modality]
    found = pd.DataFrame({"patient": study.patient_codes[0][index.sample_of_row], "row": index.rows})
    place = found.groupby("patient")["row"].rank(method="dense").astype(np.int64) - 1
    return found.assign(place=place)


def auroc_drops(
    found: Sequence[Permuted], task: Task, chosen: Sequence[Target], columns: Sequence[str]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return by how much the AUROC of each class against all others falls, by column, and what sums it up.

    The AUROC is that of a seed's patients, or of its samples for a task of samples, all folds together, as in
    metrics.json; drops are means over seeds. The spread is the standard deviation over repeats.

    Args:
        found: all fits.
        task: its level decides what is ranked.
        chosen: classes.
        columns: names of the D columns.

    Returns:
        `class`, `part`, `auroc`, `drop`, `sd`, the largest drop first within a class; and for each class `class`,
        `level`, `n`, `auroc`, `reason` (why there is none) and `parts`.
    """
    seeds = [_of_seed([p for p in found if p.seed == seed], task) for seed in dict.fromkeys(p.seed for p in found)]
    tables, told = [], []
    for target in chosen:
        own = [_drops(codes == target.code, p[:, target.code], c[..., target.code]) for codes, p, c in seeds]
        auroc, drops = (np.mean(values, axis=0) for values in zip(*own, strict=True))  # (), (D, R)
        table = pd.DataFrame({"class": target.label, "part": list(columns), "auroc": auroc})
        table = table.assign(drop=drops.mean(axis=1), sd=drops.std(axis=1, ddof=1))
        tables.append(table.sort_values("drop", ascending=False, kind="stable"))
        entry = {"class": target.label, "level": task.level, "n": max(len(codes) for codes, _, _ in seeds)}
        reason = None if np.isfinite(auroc) else _reason(task, target, np.concatenate([codes for codes, _, _ in seeds]))
        parts = [] if reason else tables[-1][["part", "drop", "sd"]].to_dict("records")
        told.append({**entry, "auroc": None if reason else float(auroc), "reason": reason, "parts": parts})
    return pd.concat(tables, ignore_index=True), told


def _of_seed(folds: Sequence[Permuted], task: Task) -> tuple[IntArray, Floats, Floats]:
    """Return codes (N,), probabilities (N, K) and changed ones (D, R, N, K) of a seed's patients, or samples."""
    codes = np.concatenate([fold.codes for fold in folds])
    told, changed = np.concatenate([f.told for f in folds]), np.concatenate([f.changed for f in folds], axis=2)
    if task.level == "sample":
        return codes, told, changed
    people, first = np.unique(np.concatenate([f.samples.patients for f in folds]).astype(str), return_inverse=True)
    share = np.zeros((len(people), len(codes)))
    share[first, np.arange(len(codes))] = 1 / np.bincount(first)[first]
    own = np.zeros(len(people), dtype=np.int64)
    own[first] = codes
    return own, share @ told, share @ changed


def _drops(own: NDArray[np.bool_], before: Floats, after: Floats) -> tuple[float, Floats]:
    """Return the AUROC of `before` (N,), and by how much those of `after` (D, R, N) are less, (D, R)."""
    everyone, each = np.ones((1, len(own))), np.arange(len(own))

    def auroc(scores: Floats) -> float:
        return float(weighted_ranking(scores, own, everyone, each)[0][0])

    whole = auroc(before)
    return whole, whole - np.array([[auroc(scores) for scores in repeats] for repeats in after])


def _reason(task: Task, target: Target, codes: IntArray) -> str:
    only = f"all {task.level}s are of class {task.classes[codes[0]]}" if len(set(codes)) == 1 else None
    return only or f"a seed has no {task.level} of class {target.label}, or no other"
