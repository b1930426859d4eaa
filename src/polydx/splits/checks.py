"""What a split refuses, and what it only says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polydx.errors import LeakageError, Problem, StudyError, counted
from polydx.splits.fold import Fold, absent_from_training
from polydx.study import UNLABELLED, Study


def check_disjoint(study: Study, folds: Sequence[Fold]) -> None:
    """Refuse a split that puts a patient on both sides or tests a sample twice.

    Raises:
        LeakageError: naming the patient.
    """
    owners, patients = study.patient_codes
    tested = np.zeros(len(study), dtype=np.int64)
    for fold in folds:
        trained = np.zeros(len(patients), dtype=np.bool_)
        trained[owners[fold.train]] = True
        both = np.unique(owners[fold.test][trained[owners[fold.test]]])
        if len(both):
            raise LeakageError(f"patient '{patients[both[0]]}' stands on both sides of fold {fold.number}")
        np.add.at(tested, fold.test, 1)
    if (tested > 1).any():
        raise LeakageError("a sample is tested in two folds of one split")


def check_classes(study: Study, task: str) -> None:
    """Refuse a task that has labels of one class only, or a class with a single patient.

    Raises:
        StudyError: saying how many patients each class has.
    """
    check_two_classes(study, task)
    counts = _patients_of_classes(study, task)
    lone = [label for label, count in counts.items() if count == 1]
    if lone:
        raise StudyError(
            f"class '{lone[0]}' of task '{task}' has 1 patient, who would be missing from training when tested "
            f"({_told(counts)}): merge the class with another, or leave its patient out"
        )


def check_two_classes(study: Study, task: str) -> None:
    """Refuse a task that has labels of one class only.

    Raises:
        StudyError: saying how many patients each class has.
    """
    counts = _patients_of_classes(study, task)
    present = [label for label, count in counts.items() if count]
    if len(present) < 2:
        found = "1 class" if present else "no class"
        raise StudyError(f"task '{task}' has labels of {found} only ({_told(counts)}): nothing to tell apart")


def check_training_classes(study: Study, task: str, folds: Sequence[Fold]) -> None:
    """Refuse folds whose training side has one class only, or lacks a class that is tested.

    Raises:
        StudyError: naming each fold and class, and how many patients the class has.
    """
    codes, counts = study.label_codes(task), _patients_of_classes(study, task)
    classes = study.tasks[task].classes
    problems = []
    for fold in folds:
        for code in absent_from_training(codes, fold):
            told = f"would train without class '{classes[code]}' ({counted(counts[classes[code]], 'patient')})"
            problems.append(Problem(str(fold), told))
        trained = np.unique(codes[fold.train])
        if len(trained[trained != UNLABELLED]) < 2 and not absent_from_training(codes, fold):
            problems.append(Problem(str(fold), f"would train with fewer than two classes ({_told(counts)})"))
    if problems:
        raise StudyError(
            f"task '{task}' cannot be learned in {counted(len({p.where for p in problems}), 'fold')} of this split: "
            "merge rare classes, or split so that patients of every class stay in training",
            problems,
        )


def fold_notes(study: Study, folds: Sequence[Fold]) -> list[str]:
    """Return what a reader should know about a split: samples in no fold, classes that a fold trains without.

    Args:
        study: the patients.
        folds: the folds of one split (one seed).
    """
    used = np.zeros(len(study), dtype=np.bool_)
    for fold in folds:
        used[fold.train] = used[fold.test] = True
    notes = []
    if not used.all():
        owners, patients = study.patient_codes
        whole = len(patients) - len(np.unique(owners[used]))
        told = f", among them all samples of {counted(whole, 'patient')}" if whole else ""
        notes.append(f"left out, in no fold: {counted(int((~used).sum()), 'sample')}{told}")
    for name, task in study.tasks.items():
        codes, counts = study.label_codes(name), _patients_of_classes(study, name)
        for fold in folds:
            for label in (task.classes[code] for code in absent_from_training(codes, fold)):
                told = counted(counts[label], "patient")
                notes.append(f"{fold} trains without class '{label}' of '{name}' ({told})")
    return notes


def _patients_of_classes(study: Study, task: str) -> dict[str, int]:
    codes, owners = study.label_codes(task), study.patient_codes[0]
    return {label: len(np.unique(owners[codes == code])) for code, label in enumerate(study.tasks[task].classes)}


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{label}: {counted(count, 'patient')}" for label, count in counts.items())
