"""Patient-disjoint splits, used by validation and inside recipes alike.

fold.py       Fold: positions of training and test samples
patients.py   folds drawn from patients: leave one out, k-fold, stratified k-fold
columns.py    folds that a column of the samples names: given folds, train and test, one centre out
strata.py     which classes the folds balance and keep, over one task or several
checks.py     what is refused, and what is only said
make.py       the splits by name, and a sentence about each
inner.py      splits inside a training set, for recipes
"""

from __future__ import annotations

from polydx.splits.checks import check_classes, check_disjoint, fold_notes
from polydx.splits.columns import leave_one_centre_out, predefined_folds
from polydx.splits.fold import Fold
from polydx.splits.inner import inner_folds, inner_split
from polydx.splits.make import describe_split, make_folds
from polydx.splits.patients import group_k_fold, leave_one_patient_out, stratified_group_k_fold
from polydx.splits.strata import joint_codes, stratifying_task, stratifying_tasks

__all__ = [
    "Fold",
    "check_classes",
    "check_disjoint",
    "describe_split",
    "fold_notes",
    "group_k_fold",
    "inner_folds",
    "inner_split",
    "joint_codes",
    "leave_one_centre_out",
    "leave_one_patient_out",
    "make_folds",
    "predefined_folds",
    "stratified_group_k_fold",
    "stratifying_task",
    "stratifying_tasks",
]
