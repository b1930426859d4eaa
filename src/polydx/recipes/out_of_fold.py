"""Probabilities of training rows from fits that did not see their patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from polydx.recipes.inputs import has_any
from polydx.recipes.protocol import Probabilities, Recipe
from polydx.splits import Fold, joint_codes, stratified_group_k_fold
from polydx.study import UNLABELLED, Study

INNER_FOLDS = 5


class Predictor(Protocol):
    """What a fit gives."""

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}."""
        ...


Fit: TypeAlias = Callable[[Study, int], Predictor]


def out_of_fold(
    fit: Fit, study: Study, folds: Sequence[Fold], seed: int, modalities: Sequence[str] | None = None
) -> Probabilities:
    """Return {task: (N, K)} probabilities of the rows of `study`, each from a fit without its patient.

    NaN where a row is in no fold, and in a fold whose training side lacks a class of the task: what such a fit says
    of a task is another matter than what the whole fit will say.

    Args:
        fit: fits a recipe to a study with a seed.
        study: training rows.
        folds: of whole patients.
        seed: of every fit.
        modalities: of the recipe, where rows may have none of them; those take no part, and get NaN.
    """
    found = {name: np.full((len(study), len(task.classes)), np.nan) for name, task in study.tasks.items()}
    there = np.ones(len(study), dtype=bool) if modalities is None else has_any(study, modalities)
    codes = {name: np.where(there, study.label_codes(name), UNLABELLED) for name in study.tasks}
    for fold in folds:
        train, test = fold.train[there[fold.train]], fold.test[there[fold.test]]
        if len(train) == 0 or len(test) == 0:
            continue
        told = fit(study.take(train), seed).predict_proba(study.take(test))
        for name, own in codes.items():
            if set(own[own != UNLABELLED]) <= set(own[train]):
                found[name][test] = told[name]
    return found


def held_out(recipe: Recipe, study: Study, seed: int) -> Probabilities:
    """Return {task: (N, K)} as `out_of_fold` has them, from inner folds that share out the labels of all tasks.

    What is tuned on training patients is tuned on these: temperatures, thresholds and the scores of prediction sets.
    """
    return out_of_fold(recipe.fit, study, folds_of_tasks(study, sorted(study.tasks), seed), seed)


def folds_of_tasks(study: Study, tasks: Sequence[str], seed: int, most: int = INNER_FOLDS) -> list[Fold]:
    """Return inner folds of whole patients that share out the labels of several tasks together.

    Returns:
        As many folds as there are patients, at most `most`; none if there is one patient.
    """
    owners, patients = study.patient_codes
    folds = min(most, len(patients))
    if folds < 2:
        return []
    labels = [study.label_codes(name) for name in tasks]
    return stratified_group_k_fold(study.patients, joint_codes(owners, labels, folds), folds, seed, keep=labels)
