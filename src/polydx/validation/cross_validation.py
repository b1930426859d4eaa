"""Cross-validation by patient: every recipe on the same folds, side by side, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polydx.config import ValidationConfig
from polydx.errors import ConfigError
from polydx.recipes.build import build_recipes
from polydx.recipes.protocol import Recipe
from polydx.splits import Fold, make_folds
from polydx.study import Study
from polydx.validation.folds import Job, Outcome, job_key, load_outcome, run_job

OnFold = Callable[[Job, Outcome], None]


@dataclass(frozen=True)
class Result:
    """What a cross-validation gave.

    Attributes:
        predictions: the predictions table (see `polydx.validation.predictions`).
        splits: sample, patient, seed, fold, role.
        seconds: recipe -> seconds of fit and predict, summed over folds and seeds.
        history: recipe, seed, fold, epoch and the curves of every network fit.
        notes: what fits had to leave out or fall back on.
    """

    predictions: pd.DataFrame
    splits: pd.DataFrame
    seconds: dict[str, dict[str, float]]
    history: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def cross_validate(
    study: Study,
    recipes: Mapping[str, Any],
    split: str | ValidationConfig = "stratified-group-k-fold",
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    jobs: int = 1,
    folder: Path | None = None,
    on_fold: OnFold | None = None,
) -> Result:
    """Fit every recipe on every fold and predict the patients left out.

    The outcome does not depend on `jobs`, on the order of execution, or on whether a run was stopped and started again.

    Args:
        study: patients' measurements and labels.
        recipes: name -> recipe, or its configuration as in a study.yaml.
        split: name of a split, or the whole `validation:` section (then `folds` and `seeds` are taken from it).
        folds: of a k-fold split.
        seeds: one repetition each.
        jobs: fits side by side.
        folder: run folder to keep finished folds in, and to find them again.
        on_fold: called in this process after each fold.

    Raises:
        ConfigError: a recipe does not fit the study.
        StudyError: the study cannot be split so.
    """
    if isinstance(split, str):
        if split not in ("leave-one-patient-out", "stratified-group-k-fold"):
            raise ConfigError(f"unknown split '{split}'; known: leave-one-patient-out, stratified-group-k-fold")
        split = ValidationConfig(split=split, folds=folds, seeds=list(seeds))
    built = _built(study, recipes)
    drawn = {seed: make_folds(study, split, seed) for seed in split.seeds}
    fingerprint = study.fingerprint()
    todo = [
        Job(recipe, seed, fold, job_key(fingerprint, recipe, seed, fold))
        for recipe in built.values()
        for seed, listed in drawn.items()
        for fold in listed
    ]
    outcomes = run_jobs(study, todo, jobs=jobs, folder=folder, on_fold=on_fold)
    return _result(study, drawn, todo, outcomes)


def run_jobs(
    study: Study, todo: Sequence[Job], *, jobs: int, folder: Path | None, on_fold: OnFold | None = None
) -> list[Outcome]:
    """Return the outcome of each job, in their order; finished ones are taken from the folder."""
    outcomes: dict[int, Outcome] = {}
    for i, job in enumerate(todo):
        found = load_outcome(job, folder) if folder is not None else None
        if found is not None:
            outcomes[i] = found
            if on_fold is not None:
                on_fold(job, found)
    missing = [i for i in range(len(todo)) if i not in outcomes]
    for i, outcome in _execute(study, [(i, todo[i]) for i in missing], jobs, folder):
        outcomes[i] = outcome
        if on_fold is not None:
            on_fold(todo[i], outcome)
    return [outcomes[i] for i in range(len(todo))]


def _execute(
    study: Study, todo: Sequence[tuple[int, Job]], jobs: int, folder: Path | None
) -> Iterator[tuple[int, Outcome]]:
    from joblib import Parallel, delayed

    if jobs == 1 or len(todo) < 2:
        for i, job in todo:
            yield i, run_job(job, study.take(job.fold.train), study.take(job.fold.test), folder)
        return
    calls = (
        delayed(_numbered)(i, job, study.take(job.fold.train), study.take(job.fold.test), folder) for i, job in todo
    )
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="1.5*n_jobs")(calls)


def _numbered(i: int, job: Job, train: Study, test: Study, folder: Path | None) -> tuple[int, Outcome]:
    return i, run_job(job, train, test, folder)


def _built(study: Study, recipes: Mapping[str, Any]) -> dict[str, Recipe]:
    if not recipes:
        raise ConfigError("no recipes: name at least one under `recipes:`")
    ready = {name: r for name, r in recipes.items() if isinstance(r, Recipe)}
    made = build_recipes({name: r for name, r in recipes.items() if name not in ready}, study)
    return {name: ready[name] if name in ready else made[name] for name in recipes}


def _result(
    study: Study, drawn: Mapping[int, Sequence[Fold]], todo: Sequence[Job], outcomes: Sequence[Outcome]
) -> Result:
    seconds: dict[str, dict[str, float]] = {}
    curves, notes = [], []
    for job, outcome in zip(todo, outcomes, strict=True):
        spent = seconds.setdefault(job.recipe.name, {"fit": 0.0, "predict": 0.0})
        for key, value in outcome.seconds.items():
            spent[key] += value
        at = {"recipe": job.recipe.name, "seed": job.seed, "fold": job.fold.number}
        curves += [{**at, **epoch} for epoch in outcome.history]
        notes += [f"{job.recipe.name}, seed {job.seed}, fold {job.fold.number}: {note}" for note in outcome.notes]
    predictions = pd.concat([o.predictions for o in outcomes], ignore_index=True)
    return Result(predictions, splits_frame(study, drawn), seconds, pd.DataFrame(curves), notes)


def splits_frame(study: Study, drawn: Mapping[int, Sequence[Fold]]) -> pd.DataFrame:
    """Return sample, patient, seed, fold, role (train or test) of every fold."""
    frames = []
    for seed, folds in drawn.items():
        for fold in folds:
            for role, positions in (("train", fold.train), ("test", fold.test)):
                frames.append(
                    pd.DataFrame(
                        {
                            "sample": study.ids[positions],
                            "patient": study.patients[positions],
                            "seed": seed,
                            "fold": fold.number,
                            "role": np.repeat(role, len(positions)),
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)
