"""How well out-of-fold probabilities of training patients do: the figure by which settings are chosen."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from polydx.recipes.protocol import Probabilities
from polydx.study import IntArray, Study

LEAST = 1e-6
"""A probability below this counts as this, so that one certain error does not decide a search."""

Float = NDArray[np.float64]


def scores(metric: str, study: Study, told: Probabilities, tasks: Iterable[str]) -> dict[str, float | None]:
    """Return task -> figure over its units, patients or samples; None where it is not defined.

    Args:
        metric: `log_loss`, in which each class weighs the same; `balanced_accuracy`; or `auroc`, for more than two
            classes the mean over each against the rest.
        study: N samples.
        told: task -> (N, K), from fits that did not see the patient; NaN where none could tell.
        tasks: those to score.
    """
    return {task: _score(metric, *_units(study, task, told[task])) for task in tasks}


def _units(study: Study, task: str, probabilities: Float) -> tuple[Float, IntArray]:
    """Return (U, K) and (U,) codes: a patient's mean for a task of patients, else one row a sample."""
    codes = study.label_codes(task)
    known = (codes >= 0) & np.isfinite(probabilities).all(axis=1)
    if study.tasks[task].level == "sample":
        return probabilities[known], codes[known]
    _, first, owner = np.unique(study.patient_codes[0][known], return_index=True, return_inverse=True)
    sums = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(sums, owner, probabilities[known])
    return sums / np.bincount(owner)[:, None], codes[known][first]


def _score(metric: str, probabilities: Float, codes: IntArray) -> float | None:
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    present = np.unique(codes)
    if len(present) < 2:
        return None
    if metric == "log_loss":
        own = np.log(np.maximum(probabilities[np.arange(len(codes)), codes], LEAST))
        return float(-np.mean([own[codes == code].mean() for code in present]))
    if metric == "balanced_accuracy":
        return float(balanced_accuracy_score(codes, probabilities.argmax(axis=1)))
    judged = present[1:] if probabilities.shape[1] == 2 else present
    return float(np.mean([roc_auc_score(codes == code, probabilities[:, code]) for code in judged]))
