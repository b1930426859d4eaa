"""Folds drawn from patients: leave one out, k-fold, stratified k-fold.

Shapes: `N` samples, `P` patients.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import StudyError, counted
from polydx.splits.fold import Fold, absent_from_training
from polydx.splits.strata import keepable
from polydx.study import IntArray

Patients: TypeAlias = Sequence[str] | NDArray[Any]

ATTEMPTS = 50
MOST_POSITIONS = 200_000_000  # samples x folds of leave-one-patient-out: 1.6 GB of positions


def leave_one_patient_out(patients: Patients) -> list[Fold]:
    """Return one fold a patient, in the order of the patients' sorted names.

    Args:
        patients: (N,) patient of each sample.

    Raises:
        StudyError: fewer than two patients, or so many that the folds do not fit in memory.
    """
    names, codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise StudyError(f"leave-one-patient-out needs at least 2 patients, found {len(names)}")
    if len(names) * len(codes) > MOST_POSITIONS:
        raise StudyError(
            f"leave-one-patient-out on {len(names)} patients and {len(codes)} samples is {len(names)} fits a recipe, "
            "and its folds do not fit in memory: use `split: stratified-group-k-fold`"
        )
    return [Fold(i, np.flatnonzero(codes != i), np.flatnonzero(codes == i)) for i in range(len(names))]


def group_k_fold(patients: Patients, folds: int, seed: int, *, keep: Sequence[IntArray] = ()) -> list[Fold]:
    """Return `folds` folds of whole patients, as many in each, whatever their classes.

    Args:
        patients: (N,) patient of each sample.
        folds: number of folds.
        seed: of the shuffle.
        keep: (N,) class codes of the tasks whose classes every training side should have, the most important first.

    Raises:
        StudyError: fewer patients than folds.
    """
    groups = _groups(patients, folds)
    kept = [keepable(groups, codes) for codes in keep]
    return _redrawn(lambda drawn: _draw(groups, groups, folds, drawn, stratify=False), kept, folds, seed)


def stratified_group_k_fold(
    patients: Patients, codes: IntArray, folds: int, seed: int, *, keep: Sequence[IntArray] | None = None
) -> list[Fold]:
    """Return `folds` folds of whole patients with about the same share of each class.

    Drawn again with other seeds (up to 50 draws) if a training side would miss a class that another draw keeps; the
    draw that loses least is taken.

    Args:
        patients: (N,) patient of each sample.
        codes: (N,) class codes; -1 counts as a class of its own.
        folds: number of folds.
        seed: of the shuffle.
        keep: (N,) class codes of the tasks whose classes every training side should have, the most important first;
            `codes` if not given.

    Raises:
        StudyError: fewer patients than folds.
    """
    groups = _groups(patients, folds)
    kept = [keepable(groups, own) for own in ([codes] if keep is None else keep)]
    # Where no class has a sample for every fold there is nothing to stratify, and scikit-learn refuses.
    stratify = bool(np.unique(codes, return_counts=True)[1].max() >= folds)
    return _redrawn(lambda drawn: _draw(groups, codes, folds, drawn, stratify=stratify), kept, folds, seed)


def _groups(patients: Patients, folds: int) -> IntArray:
    names, groups = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < folds:
        raise StudyError(
            f"{counted(len(names), 'patient')} cannot fill {folds} folds: set `folds: {max(2, len(names))}` or less, "
            "or `split: leave-one-patient-out`"
        )
    return groups.astype(np.int64)


def _redrawn(draw: Callable[[int], list[Fold]], keep: Sequence[IntArray], folds: int, seed: int) -> list[Fold]:
    """Return the first draw that loses nothing, else the one that loses least."""
    best, least = None, None
    for attempt in range(ATTEMPTS):
        found = draw((seed + 1009 * attempt) % 2**32)
        losses = _losses(found, keep)
        if least is None or losses < least:
            best, least = found, losses
        if not any(losses):
            break
    if best is None or any(len(f.test) == 0 or len(f.train) == 0 for f in best):
        raise StudyError(f"a fold would be empty: use fewer than {folds} folds")
    return best


def _losses(folds: Sequence[Fold], keep: Sequence[IntArray]) -> tuple[int, ...]:
    """Return what is wrong with a draw, worst first: empty sides, then classes absent from training, task by task."""
    empty = sum(len(side) == 0 for fold in folds for side in (fold.train, fold.test))
    return (empty, *(sum(len(absent_from_training(codes, fold)) for fold in folds) for codes in keep))


def _draw(groups: IntArray, codes: IntArray, folds: int, seed: int, *, stratify: bool) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    splitter = (StratifiedGroupKFold if stratify else GroupKFold)(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on rare classes: check_classes and fold_notes name them
        return [Fold(i, train, test) for i, (train, test) in enumerate(splitter.split(codes, codes, groups))]
