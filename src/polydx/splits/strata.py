"""Which classes the folds balance, and which ones every training side should keep.

Shapes: `N` samples, `P` patients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polydx.config import ValidationConfig
from polydx.errors import StudyError
from polydx.study import UNLABELLED, IntArray, Study


def stratifying_tasks(study: Study, validation: ValidationConfig) -> list[str]:
    """Return the tasks whose classes the folds balance: `stratify`, else the primary endpoint's, else the first.

    The classes of the first of them must be in every training side.

    Raises:
        StudyError: a task that the study does not have.
    """
    primary = [validation.primary.task] if validation.primary else []
    asked = validation.stratify or primary or [next(iter(study.tasks))]
    names = [name.removesuffix("/leaves") for name in asked]
    for name in [*names, *(task.removesuffix("/leaves") for task in primary)]:
        if name not in study.tasks:
            raise StudyError(
                f"validation names task '{name}'; the tasks of '{study.name}' are {', '.join(study.tasks)}"
            )
    return names


def stratifying_task(study: Study, validation: ValidationConfig) -> str:
    """Return the first of the tasks whose classes the folds balance."""
    return stratifying_tasks(study, validation)[0]


def joint_codes(owners: IntArray, codes: Sequence[IntArray], folds: int) -> IntArray:
    """Return one code a sample for the combination of its classes in several tasks.

    A combination with fewer patients than folds cannot be spread over them; its samples count by the leading tasks
    alone, in the end by the first.

    Args:
        owners: (N,) patient codes.
        codes: (N,) class codes of each task, -1 for no label (a class of its own).
        folds: number of folds.
    """
    joint = codes[0]
    for leading in range(2, len(codes) + 1):
        _, combined = np.unique(np.column_stack(codes[:leading]), axis=0, return_inverse=True)
        rare = patients_of_each(owners, combined.ravel()) < folds
        joint = np.where(rare[combined.ravel()], joint, joint.max() + 1 + combined.ravel())
    return joint


def keepable(owners: IntArray, codes: IntArray) -> IntArray:
    """Return the codes without classes of a single patient: no split can both test and keep them.

    Args:
        owners: (N,) patient codes.
        codes: (N,) class codes, -1 for no label.
    """
    patients = patients_of_each(owners, codes + 1)
    return np.where(patients[codes + 1] > 1, codes, UNLABELLED)


def patients_of_each(owners: IntArray, codes: IntArray) -> IntArray:
    """Return how many patients have each code, for (N,) patient codes and (N,) codes from 0."""
    pairs = np.unique(codes.astype(np.int64) * (owners.max(initial=0) + 1) + owners)
    return np.bincount(pairs // (owners.max(initial=0) + 1))
