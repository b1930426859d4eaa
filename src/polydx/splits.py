"""Patient-disjoint splits, used by validation and inside recipes alike.

A fold holds positions of samples (ints), so that splitting never copies a study.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.config import ValidationConfig
from polydx.errors import LeakageError, StudyError, counted
from polydx.study import UNLABELLED, IntArray, Study

ATTEMPTS = 50


@dataclass(frozen=True)
class Fold:
    """One partition of the samples.

    Attributes:
        number: position in the split, from 0.
        train: positions of training samples, rising.
        test: positions of test samples, rising.
    """

    number: int
    train: IntArray
    test: IntArray


def make_folds(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:
    """Return the folds of a study for one seed.

    Raises:
        StudyError: too few patients, or a class that would be missing from a training side; the message says
            which class has how many patients.
    """
    task = stratifying_task(study, validation)
    check_classes(study, task)
    if validation.split == "leave-one-patient-out":
        folds = leave_one_patient_out(study.patients)
    else:
        folds = stratified_group_k_fold(study.patients, study.label_codes(task), validation.folds, seed)
    check_disjoint(study, folds)
    _check_training_classes(study, task, folds)
    return folds


def stratifying_task(study: Study, validation: ValidationConfig) -> str:
    """Return the task whose classes the folds balance: `stratify`, else the primary endpoint's, else the first."""
    asked = validation.stratify or (validation.primary.task if validation.primary else None)
    name = (asked or next(iter(study.tasks))).removesuffix("/leaves")
    if name not in study.tasks:
        raise StudyError(f"validation names task '{name}'; the tasks of '{study.name}' are {', '.join(study.tasks)}")
    return name


def leave_one_patient_out(patients: Sequence[str] | NDArray[Any]) -> list[Fold]:
    """Return one fold a patient, in the order of the patients' sorted names.

    Args:
        patients: (N,) patient of each sample.
    """
    names, codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise StudyError(f"leave-one-patient-out needs at least 2 patients, found {len(names)}")
    return [Fold(i, np.flatnonzero(codes != i), np.flatnonzero(codes == i)) for i in range(len(names))]


def stratified_group_k_fold(
    patients: Sequence[str] | NDArray[Any], codes: IntArray, folds: int, seed: int
) -> list[Fold]:
    """Return `folds` folds of whole patients with about the same share of each class.

    Drawn again with the next seed (up to 50 times) if a training side would miss a class that another draw keeps.

    Args:
        patients: (N,) patient of each sample.
        codes: (N,) class codes; -1 counts as a class of its own.
        folds: number of folds.
        seed: of the shuffle.

    Raises:
        StudyError: fewer patients than folds.
    """
    names, groups = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < folds:
        raise StudyError(
            f"{counted(len(names), 'patient')} cannot fill {folds} folds: set `folds: {max(2, len(names))}` or less, "
            "or `split: leave-one-patient-out`"
        )
    best: list[Fold] = []
    for attempt in range(ATTEMPTS):
        best = _draw(groups, codes, folds, (seed + 1009 * attempt) % 2**32)
        if all(len(f.test) and len(f.train) and _all_classes(codes, f.train) for f in best):
            return best
    if any(len(f.test) == 0 for f in best):
        raise StudyError(f"a fold would be empty: use fewer than {folds} folds")
    return best


def _draw(groups: IntArray, codes: IntArray, folds: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    # Where no class has a sample for every fold there is nothing to stratify, and scikit-learn refuses.
    stratify = np.unique(codes, return_counts=True)[1].max() >= folds
    splitter = (StratifiedGroupKFold if stratify else GroupKFold)(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on rare classes: check_classes names them
        return [Fold(i, train, test) for i, (train, test) in enumerate(splitter.split(codes, codes, groups))]


def inner_split(study: Study, task: str, share: float, seed: int) -> Fold:
    """Return one patient-disjoint split of a training set: about `share` of the patients on the test side.

    For early stopping and calibration inside a recipe. Every class of `task` keeps a patient on the training side.
    """
    folds = max(2, round(1 / share))
    return inner_folds(study, task, folds, seed)[0]


def inner_folds(study: Study, task: str, folds: int, seed: int) -> list[Fold]:
    """Return stratified patient-disjoint folds of a training set, as many as its patients allow (at least 2)."""
    patients = len(study.patient_codes[1])
    if patients < 2:
        raise StudyError(f"{counted(patients, 'patient')} in a training set: nothing can be held out inside it")
    return stratified_group_k_fold(study.patients, study.label_codes(task), min(folds, patients), seed)


def check_disjoint(study: Study, folds: Sequence[Fold]) -> None:
    """Refuse a split that puts a patient on both sides or tests a sample twice.

    Raises:
        LeakageError: naming the patient.
    """
    patients = study.patients.astype(str)
    for fold in folds:
        both = np.intersect1d(patients[fold.train], patients[fold.test])
        if len(both):
            raise LeakageError(f"patient '{both[0]}' stands on both sides of fold {fold.number}")
    tested = np.concatenate([f.test for f in folds])
    if len(np.unique(tested)) < len(tested):
        raise LeakageError("a sample is tested in two folds of one split")


def check_classes(study: Study, task: str) -> None:
    """Refuse a task that has labels of one class only, or a class with a single patient.

    Raises:
        StudyError: saying how many patients each class has.
    """
    codes, patients = study.label_codes(task), study.patients
    counts = {c: len(set(patients[codes == i])) for i, c in enumerate(study.tasks[task].classes)}
    told = ", ".join(f"{c}: {counted(n, 'patient')}" for c, n in counts.items())
    present = [c for c, n in counts.items() if n]
    if len(present) < 2:
        raise StudyError(f"task '{task}' has labels of {counted(len(present), 'class')} only ({told}): nothing to tell apart")
    lone = [c for c in present if counts[c] == 1]
    if lone:
        raise StudyError(
            f"class '{lone[0]}' of task '{task}' has 1 patient, who would be missing from training when tested "
            f"({told}): merge the class with another, or leave its patient out"
        )


def _check_training_classes(study: Study, task: str, folds: Sequence[Fold]) -> None:
    codes = study.label_codes(task)
    for fold in folds:
        missing = sorted(set(codes[codes != UNLABELLED]) - set(codes[fold.train]))
        if missing:
            label = study.tasks[task].classes[missing[0]]
            count = len(set(study.patients[codes == missing[0]]))
            raise StudyError(
                f"fold {fold.number} would train without class '{label}' of task '{task}' "
                f"({counted(count, 'patient')}): use more folds or leave-one-patient-out, or merge the class"
            )


def _all_classes(codes: IntArray, train: IntArray) -> bool:
    return set(codes[codes != UNLABELLED]) <= set(codes[train])
