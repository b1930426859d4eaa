"""The splits by name, and a sentence about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polydx.config import SplitName, ValidationConfig
from polydx.errors import counted
from polydx.splits.checks import check_classes, check_disjoint, check_training_classes, check_two_classes
from polydx.splits.columns import leave_one_centre_out, predefined_folds
from polydx.splits.fold import Fold
from polydx.splits.patients import group_k_fold, leave_one_patient_out, stratified_group_k_fold
from polydx.splits.strata import joint_codes, stratifying_task, stratifying_tasks
from polydx.study import IntArray, Study

MOST_NAMED = 6


def make_folds(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:
    """Return the folds of a study for one seed.

    K-folds are drawn again where a training side would lose a class of any task; what no draw keeps is refused for
    the (first) stratifying task and left to `fold_notes` for the others.

    Raises:
        StudyError: too few patients, no such column, or a class that would be missing from a training side; the
            message says which class has how many patients.
        LeakageError: the column that names the folds puts a patient into two of them.
    """
    task = stratifying_task(study, validation)
    check = check_two_classes if validation.split in ("predefined", "leave-one-centre-out") else check_classes
    check(study, task)
    folds = SPLITS[validation.split](study, validation, seed)
    check_disjoint(study, folds)
    check_training_classes(study, task, folds)
    return folds


def describe_split(validation: ValidationConfig, folds: Sequence[Fold]) -> str:
    """Return one phrase that says how patients were split: "stratified 5-fold by patient (seed 0)".

    Args:
        validation: the section of the study's YAML.
        folds: those of one seed.
    """
    if validation.split == "stratified-group-k-fold":
        over = " and ".join(f"'{task}'" for task in validation.stratify or [])
        return (
            f"stratified {len(folds)}-fold by patient{', balanced over ' + over if over else ''} {_seeds(validation)}"
        )
    if validation.split == "group-k-fold":
        return f"{len(folds)}-fold by patient, not stratified {_seeds(validation)}"
    if validation.split == "leave-one-patient-out":
        return f"leave one patient out, {counted(len(folds), 'fold')}"
    if validation.split == "leave-one-centre-out":
        return f"leave one centre out by column '{validation.column or 'centre'}', {_named(folds)}"
    if len(folds) == 1:
        return f"training and test patients as given in column '{validation.column}'"
    return f"folds of patients as given in column '{validation.column}', {_named(folds)}"


def _seeds(validation: ValidationConfig) -> str:
    seeds = ", ".join(map(str, validation.seeds))
    return f"(seed {seeds})" if len(validation.seeds) == 1 else f"(seeds {seeds})"


def _named(folds: Sequence[Fold]) -> str:
    names = [f"'{fold.name}'" for fold in folds[:MOST_NAMED]]
    more = [f"{len(folds) - MOST_NAMED} more"] if len(folds) > MOST_NAMED else []
    return f"{counted(len(folds), 'fold')} ({', '.join(names + more)})"


def _stratified(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:
    names = stratifying_tasks(study, validation)
    joint = joint_codes(study.patient_codes[0], [study.label_codes(name) for name in names], validation.folds)
    keep = _codes_to_keep(study, names)
    return stratified_group_k_fold(study.patients, joint, validation.folds, seed, keep=keep)


def _unstratified(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:
    keep = _codes_to_keep(study, stratifying_tasks(study, validation))
    return group_k_fold(study.patients, validation.folds, seed, keep=keep)


def _codes_to_keep(study: Study, first: Sequence[str]) -> list[IntArray]:
    return [study.label_codes(name) for name in dict.fromkeys([*first, *study.tasks])]


def _one_patient_out(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:  # noqa: ARG001
    return leave_one_patient_out(study.patients)


def _one_centre_out(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:  # noqa: ARG001
    return leave_one_centre_out(study, validation.column or "centre")


def _predefined(study: Study, validation: ValidationConfig, seed: int) -> list[Fold]:  # noqa: ARG001
    return predefined_folds(study, validation.column or "")  # the schema asks for the column


SPLITS: dict[SplitName, Callable[[Study, ValidationConfig, int], list[Fold]]] = {
    "stratified-group-k-fold": _stratified,
    "group-k-fold": _unstratified,
    "leave-one-patient-out": _one_patient_out,
    "leave-one-centre-out": _one_centre_out,
    "predefined": _predefined,
}
