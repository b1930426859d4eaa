"""Cross-validation by patient: every recipe on the same folds, side by side, resumable."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from pydantic import ValidationError

from polydx.config import SplitName, ValidationConfig
from polydx.errors import ConfigError, Problem, counted
from polydx.params import unknown
from polydx.recipes.build import build_recipes
from polydx.recipes.protocol import Recipe
from polydx.splits import Fold, fold_notes, make_folds
from polydx.study import Study
from polydx.validation.checks import check_study, pretraining, refuse
from polydx.validation.folds import SCENARIOS, WEIGHTS, Job, Outcome, holds_network, job_key, load_outcome, run_job
from polydx.validation.scenarios import scenario_names

OnFold = Callable[[Job, Outcome], None]


@dataclass(frozen=True)
class Result:
    """What a cross-validation gave.

    Attributes:
        predictions: the predictions table (see `polydx.validation.predictions`).
        splits: sample, patient, seed, fold, role.
        seconds: recipe -> seconds of fit and predict, summed over folds and seeds.
        history: recipe, seed, fold, epoch and the curves of every network fit.
        notes: what the folds leave out, and what fits had to leave out or fall back on.
        scenarios: predictions for test samples that modalities were taken from, with `scenario`; of recipes of several.
        modality_weights: recipe, seed, fold, sample, patient, modality, weight; of networks that weigh modalities.
    """

    predictions: pd.DataFrame
    splits: pd.DataFrame
    seconds: dict[str, dict[str, float]]
    history: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    scenarios: pd.DataFrame = field(default_factory=pd.DataFrame)
    modality_weights: pd.DataFrame = field(default_factory=pd.DataFrame)


def cross_validate(
    study: Study,
    recipes: Mapping[str, Any],
    split: str | ValidationConfig = "stratified-group-k-fold",
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    column: str | None = None,
    stratify: str | list[str] | None = None,
    jobs: int = 1,
    folder: Path | None = None,
    on_fold: OnFold | None = None,
    check: bool = True,
) -> Result:
    """Fit every recipe on every fold and predict the patients left out.

    The outcome does not depend on `jobs`, on the order of execution, or on whether a run was stopped and started again.

    Args:
        study: patients' measurements and labels.
        recipes: name -> recipe, or its configuration as in a study.yaml.
        split: name of a split, or the whole `validation:` section (then the next four are taken from it).
        folds: of a k-fold split.
        seeds: one repetition each.
        column: of the samples, that names the folds of `predefined` or the centres of `leave-one-centre-out`.
        stratify: task or tasks whose classes `stratified-group-k-fold` balances.
        jobs: fits side by side.
        folder: run folder to keep finished folds in, and to find them again.
        on_fold: called in this process after each fold.
        check: look for leakage first (copies of a measurement under two patients); False if that was done.

    Raises:
        ConfigError: a recipe does not fit the study, or an option the split.
        StudyError: the study cannot be split so.
        LeakageError: the column that names the folds puts a patient into two of them, a measurement stands under
            two patients, or the weights that a recipe starts from have seen a test patient.
    """
    if isinstance(split, str):
        split = _section(split, folds=folds, seeds=list(seeds), column=column, stratify=stratify)
    built = _built(study, recipes, split.threads_per_fit)
    drawn = {seed: make_folds(study, split, seed) for seed in split.seeds}
    if check:
        refuse(check_study(study))
    refuse(pretraining(_tested(study, drawn), built))
    fingerprint, threads = study.fingerprint(), split.threads_per_fit
    todo = []
    for recipe in built.values():
        taken = scenario_names(split.missing, recipe.modalities)
        todo += [
            Job(recipe, seed, fold, job_key(fingerprint, recipe, seed, fold, threads, taken), "folds", threads, taken)
            for seed, listed in drawn.items()
            for fold in listed
        ]
    outcomes = run_jobs(study, todo, jobs=jobs, folder=folder, on_fold=on_fold)
    return _result(study, drawn, todo, outcomes)


def _tested(study: Study, drawn: Mapping[int, Sequence[Fold]]) -> Study:
    """Return the samples that any fold tests."""
    return study.take(np.unique(np.concatenate([fold.test for folds in drawn.values() for fold in folds])))


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
    # Networks first: they take longest, and a worker that imports torch later looks to joblib as if it leaked memory.
    todo = sorted(todo, key=lambda entry: not holds_network(entry[1].recipe.config))
    calls = (
        delayed(_numbered)(i, job, study.take(job.fold.train), study.take(job.fold.test), folder) for i, job in todo
    )
    with warnings.catch_warnings():
        # A worker that imports a library has grown, and joblib replaces it: of no concern to the user.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given", category=UserWarning)
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="1.5*n_jobs")(calls)


def _numbered(i: int, job: Job, train: Study, test: Study, folder: Path | None) -> tuple[int, Outcome]:
    return i, run_job(job, train, test, folder)


def _built(study: Study, recipes: Mapping[str, Any], threads: int) -> dict[str, Recipe]:
    if not recipes:
        raise ConfigError("no recipes: name at least one under `recipes:`")
    ready = {name: r for name, r in recipes.items() if isinstance(r, Recipe)}
    made = build_recipes({name: r for name, r in recipes.items() if name not in ready}, study, threads)
    return {name: ready[name] if name in ready else made[name] for name in recipes}


def _section(split: str, **options: Any) -> ValidationConfig:
    if split not in get_args(SplitName):
        raise ConfigError(unknown("split", split, get_args(SplitName)))
    try:
        return ValidationConfig.model_validate({"split": split, **options})
    except ValidationError as error:
        problems = [
            Problem(".".join(map(str, e["loc"])) or f"split '{split}'", e["msg"].removeprefix("Value error, "))
            for e in error.errors()
        ]
        raise ConfigError(f"cross_validate cannot split so: {counted(len(problems), 'problem')}", problems) from None


def _result(
    study: Study, drawn: Mapping[int, Sequence[Fold]], todo: Sequence[Job], outcomes: Sequence[Outcome]
) -> Result:
    seconds: dict[str, dict[str, float]] = {}
    curves, notes = [], [*split_notes(study, drawn), *coverage_notes(study, [job.recipe for job in todo])]
    for job, outcome in zip(todo, outcomes, strict=True):
        spent = seconds.setdefault(job.recipe.name, {"fit": 0.0, "predict": 0.0})
        for key, value in outcome.seconds.items():
            spent[key] += value
        at = {"recipe": job.recipe.name, "seed": job.seed, "fold": job.fold.number}
        curves += [{**at, **epoch} for epoch in outcome.history]
        notes += [f"{job.recipe.name}, seed {job.seed}, fold {job.fold.number}: {note}" for note in outcome.notes]
    told = [o.predictions for o in outcomes if len(o.predictions)] or [o.predictions for o in outcomes]
    predictions = pd.concat(told, ignore_index=True)
    also = {
        name: pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        for name in (SCENARIOS, WEIGHTS)
        for frames in [[o.also[name] for o in outcomes if name in o.also]]
    }
    return Result(predictions, splits_frame(study, drawn), seconds, pd.DataFrame(curves), notes, **also)


def coverage_notes(study: Study, recipes: Iterable[Recipe]) -> list[str]:
    """Return which recipes leave samples out, because these have none of their modalities."""
    found = {}
    for recipe in recipes:
        there = study.has_any(recipe.modalities)
        if not there.all():
            patients = len(set(study.patients[there]))
            found[recipe.name] = (
                f"{recipe.name} answers {int(there.sum())} of {len(study)} samples, {patients} of "
                f"{len(study.patient_codes[1])} patients: the others have none of its modalities "
                f"({', '.join(recipe.modalities)}) and take no part in its fits"
            )
    return list(found.values())


def split_notes(study: Study, drawn: Mapping[int, Sequence[Fold]]) -> list[str]:
    """Return what a reader should know about the folds of each seed; what holds for all seeds is said once."""
    told: dict[str, list[int]] = {}
    for seed, folds in drawn.items():
        for note in fold_notes(study, folds):
            told.setdefault(note, []).append(seed)
    return [
        note if len(seeds) == len(drawn) else f"seed {', '.join(map(str, seeds))}: {note}"
        for note, seeds in told.items()
    ]


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
