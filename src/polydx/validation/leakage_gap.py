"""How much a split by sample would have flattered a study: one cheap recipe, judged under both splits.

Shapes: `N` samples, `P` patients, `R` resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.recipes.protocol import Recipe
from polydx.splits import Fold, stratified_group_k_fold
from polydx.study import IntArray, Study
from polydx.validation.bootstrap import bootstrap_interval, draw_patients, leave_out, patient_strata, sampling
from polydx.validation.clusters import sum_by_cluster
from polydx.validation.cross_validation import run_jobs
from polydx.validation.folds import Job, job_key
from polydx.validation.intervals import wilson
from polydx.validation.metrics import decide
from polydx.validation.outcomes import Outcomes
from polydx.validation.table import read_outcomes

Floats = NDArray[np.float64]

GROUP = "leakage-gap"
SIDES = ("by_sample", "by_patient")
RESAMPLES = 2000


def leakage_gap(
    study: Study,
    recipe: Recipe,
    folds: int,
    seed: int,
    *,
    task: str | None = None,
    jobs: int = 1,
    folder: Path | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Return the accuracy of samples under a split by sample and under one by patient, for each task.

    Both splits have test sides of the same sizes, so recipe, metric and training-set size are equal; what differs is
    whether a test sample's patient was seen in training.

    Args:
        study: patients' measurements and labels.
        recipe: a cheap one.
        folds: of both splits; fewer where there are fewer patients.
        seed: of splits, fits and resampling.
        task: whose classes the folds balance; the first if not given.
        jobs: fits side by side.
        folder: run folder to keep finished folds in, under `leakage-gap/`.
        resamples: of patients, for the intervals.

    Returns:
        task -> `recipe`, `metric`, `level`, `folds`, `by_sample`, `by_patient` and `gap` (the first minus the second),
        each with `estimate`, `low`, `high` (95 %, patient-cluster bootstrap; Wilson's on patients where no resample
        differs); or null for them, and the `reason`.
    """
    study = study.having(recipe.modalities)
    names, number = list(study.tasks), min(folds, len(study.patient_codes[1]))
    if study.unit == "patient" or len(study.patient_codes[1]) == len(study):
        return {name: _nothing(recipe, number, "one sample a patient: nothing can leak") for name in names}
    if number < 2:
        return {name: _nothing(recipe, number, "one patient: there is no split by patient") for name in names}
    splits = _splits(study, number, seed, task or names[0])
    fingerprint = study.fingerprint()
    todo = [
        Job(recipe, seed, fold, job_key(fingerprint, recipe, seed, fold), f"{GROUP}/{side}")
        for side in SIDES
        for fold in splits[side]
    ]
    done = run_jobs(study, todo, jobs=jobs, folder=folder)
    tables = {
        side: pd.concat([d.predictions for job, d in zip(todo, done, strict=True) if job.group.endswith(side)])
        for side in SIDES
    }
    outcomes = {side: read_outcomes(table, study.tasks) for side, table in tables.items()}
    return {
        name: _of_task(recipe, number, {side: own[name].labelled() for side, own in outcomes.items()}, resamples, seed)
        for name in names
    }


def sample_folds(codes: IntArray, sizes: Sequence[int], seed: int) -> list[Fold]:
    """Return folds that ignore patients, with test sides of the given sizes and about the same share of each class.

    Samples are lined up class by class, in random order within a class, and dealt to the folds in proportion to their
    sizes.

    Args:
        codes: (N,) class codes.
        sizes: test samples of each fold; they sum to N.
        seed: of the order.
    """
    rng = np.random.default_rng([seed, *GROUP.encode()])
    line = np.lexsort((rng.permutation(len(codes)), codes))
    turns = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    dealt = np.repeat(np.arange(len(sizes)), sizes)[np.argsort(turns, kind="stable")]
    owner = np.empty(len(codes), dtype=np.int64)
    owner[line] = dealt
    return [Fold(i, np.flatnonzero(owner != i), np.flatnonzero(owner == i)) for i in range(len(sizes))]


def _splits(study: Study, folds: int, seed: int, task: str) -> Mapping[str, list[Fold]]:
    codes = study.label_codes(task)
    by_patient = stratified_group_k_fold(study.patients, codes, folds, seed)
    return {"by_sample": sample_folds(codes, [len(f.test) for f in by_patient], seed), "by_patient": by_patient}


def _of_task(recipe: Recipe, folds: int, sides: Mapping[str, Outcomes], resamples: int, seed: int) -> dict[str, Any]:
    first = sides["by_sample"]
    if len(np.unique(first.labels)) < 2:
        return _nothing(recipe, folds, "fewer than two classes have a label")
    strata = patient_strata(first.labels, first.patients, len(first.classes))
    weights = draw_patients(strata, resamples, np.random.default_rng([seed, *first.name.encode()]))
    without, omitted = leave_out(strata)
    drawn = np.concatenate([np.ones((1, len(strata))), without, weights])
    accuracies = {side: _accuracy(own, recipe.name, drawn) for side, own in sides.items()}
    figures = {side: _figure(values, omitted, len(strata)) for side, values in accuracies.items()}
    gap = _bootstrapped(accuracies["by_sample"] - accuracies["by_patient"], omitted)
    return {**_described(recipe, folds), **figures, "gap": gap}


def _accuracy(own: Outcomes, recipe: str, weights: Floats) -> Floats:
    """Return (R,) share of samples that are right, under (R, P) weights of patients."""
    decisions = decide(own.probabilities[recipe][0], own.positive, own.thresholds[recipe][0])
    right = (decisions == own.labels).astype(np.float64)
    sums = sum_by_cluster(np.column_stack([right, np.ones(len(own))]), own.patients, weights.shape[1])
    hits, counts = (weights @ sums).T
    return np.asarray(hits / counts)


def _figure(values: Floats, omitted: IntArray, patients: int) -> dict[str, Any]:
    """Return the bootstrap figure of an accuracy, or Wilson's where no resample differs, which is not certainty."""
    if np.ptp(values[len(omitted) + 1 :]) > 1e-12:
        return _bootstrapped(values, omitted)
    low, high = wilson(float(values[0]), patients)
    return {"estimate": float(values[0]), "low": low, "high": high, "method": "wilson"}


def _bootstrapped(values: Floats, omitted: IntArray) -> dict[str, Any]:
    """Return the estimate, which comes first, with its interval from the figures without a patient and resampled."""
    estimate, left_out, draws = float(values[0]), values[1 : len(omitted) + 1], values[len(omitted) + 1 :]
    low, high = bootstrap_interval(draws, sampling(estimate, draws, left_out, omitted))
    return {"estimate": estimate, "low": low, "high": high, "method": "bootstrap"}


def _described(recipe: Recipe, folds: int) -> dict[str, Any]:
    return {"recipe": recipe.name, "metric": "accuracy", "level": "sample", "folds": folds}


def _nothing(recipe: Recipe, folds: int, reason: str) -> dict[str, Any]:
    return {**_described(recipe, folds), "by_sample": None, "by_patient": None, "gap": None, "reason": reason}
