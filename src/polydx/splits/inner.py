"""Splits inside a training set, for early stopping, calibration and tuning within a recipe."""

from __future__ import annotations

from polydx.errors import StudyError, counted
from polydx.splits.fold import Fold, absent_from_training
from polydx.splits.patients import stratified_group_k_fold
from polydx.study import Study


def inner_split(study: Study, task: str, share: float, seed: int) -> Fold:
    """Return one patient-disjoint split of a training set: about `share` of the patients on the test side.

    For early stopping and calibration inside a recipe. Every class of `task` keeps a patient on the training side.
    """
    folds = inner_folds(study, task, max(2, round(1 / share)), seed)
    codes = study.label_codes(task)
    return next((fold for fold in folds if not absent_from_training(codes, fold)), folds[0])


def inner_folds(study: Study, task: str, folds: int, seed: int) -> list[Fold]:
    """Return stratified patient-disjoint folds of a training set, as many as its patients allow (at least 2).

    Raises:
        StudyError: one patient only.
    """
    patients = len(study.patient_codes[1])
    if patients < 2:
        raise StudyError(f"{counted(patients, 'patient')} in a training set: nothing can be held out inside it")
    return stratified_group_k_fold(study.patients, study.label_codes(task), min(folds, patients), seed)
