"""The scores behind prediction sets, from fits that did not see the patients they score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.conformal import ConformalScores
from polydx.recipes.out_of_fold import INNER_FOLDS, folds_of_tasks, out_of_fold
from polydx.recipes.protocol import Probabilities, Recipe
from polydx.recipes.threshold import WithOperatingPoint
from polydx.study import Study, Task

Float = NDArray[np.float64]


def fit_scores(recipe: Recipe, study: Study, seed: int) -> ConformalScores:
    """Fit the recipe on inner folds of the study's patients, and score those left out.

    Args:
        recipe: what will be asked; its operating point plays no part.
        study: all training patients.
        seed: of folds and fits.
    """
    whole = recipe.recipe if isinstance(recipe, WithOperatingPoint) else recipe
    folds = folds_of_tasks(study, sorted(study.tasks), seed, INNER_FOLDS)
    told = out_of_fold(whole.fit, study, folds, seed)
    return scores_of(study, told)


def scores_of(study: Study, told: Probabilities) -> ConformalScores:
    """Return one score a patient and class: of the mean probability over those of their samples that have the class.

    Args:
        study: N samples.
        told: task -> (N, K), from fits that did not see the patient; rows of NaN are left out.
    """
    return ConformalScores({name: _scores(study, name, task, told[name]) for name, task in study.tasks.items()})


def _scores(study: Study, name: str, task: Task, told: Float) -> dict[str, Float]:
    codes, owners = study.label_codes(name), study.patient_codes[0]
    found = {}
    for code, label in enumerate(task.classes):
        own = (codes == code) & np.isfinite(told).all(axis=1)
        _, patient = np.unique(owners[own], return_inverse=True)
        sums = np.bincount(patient, weights=told[own, code])
        means = np.clip(sums / np.maximum(np.bincount(patient), 1), 0.0, 1.0)  # rounding
        found[label] = np.sort(1 - means)
    return found
