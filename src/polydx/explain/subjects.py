"""Who explains whom: the fits of a run, each for the patients that it did not see, or one model for a whole study."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from polydx.errors import ConfigError, StudyError
from polydx.params import unknown
from polydx.recipes.build import build_recipes
from polydx.recipes.kinds import rebuild
from polydx.recipes.protocol import Fitted, Recipe, stream_seed
from polydx.study import Study
from polydx.validation.run_folder import Run

SAME = 1e-3
"""Probabilities of a fit that differ by more from those in the run's table are of other data or other versions."""


@dataclass(frozen=True)
class Subject:
    """A fitted recipe, and samples whose answers it can be asked about.

    Attributes:
        fitted: the recipe.
        train: the samples that references and backgrounds are taken from: those it was fitted on.
        test: the samples to explain.
        seed: of the run's repetition; None for a model.
        fold: of the run; None for a model.
        refit: fits the recipe to other samples as this one was; None where it cannot be.
    """

    fitted: Fitted
    train: Study
    test: Study
    seed: int | None = None
    fold: int | None = None
    refit: Callable[[Study], Fitted] | None = None


def run_subjects(
    run: Run, study: Study, recipe: str, *, sample: str | None = None, data: str | Path | None = None
) -> Iterator[Subject]:
    """Yield the fit of each fold and seed with the samples it tested.

    Weights of networks lie in the run folder; other recipes are fitted again as they were in the run, and must give
    the probabilities that stand in its table.

    Args:
        run: a finished run.
        study: the one that was run.
        recipe: name of one of the run's recipes.
        sample: only the folds that tested it, and only it.
        data: folder of the named studies.

    Raises:
        ConfigError: the run has no such recipe.
        StudyError: the study is not that of the run, or has no such sample.
    """
    if recipe not in run.config.recipes:
        raise ConfigError(f"run {run.folder}: {unknown('recipe', recipe, run.config.recipes)}")
    splits = pd.read_csv(run.folder / "splits.csv", dtype={"sample": str}, keep_default_na=False)
    _check_study(run, study, set(splits["sample"]), sample)
    threads, used = run.config.validation.threads_per_fit, run_modalities(run, recipe)
    made: list[Recipe] = []

    def refitted(train: Study, seed: int, fold: int) -> Fitted:
        if not made:
            made.append(build_recipes(run.config.recipes, study, threads, data, run.folder / "pretrained")[recipe])
        return _refitted(made[0], train, seed, fold, threads)

    for seed, fold in splits[["seed", "fold"]].drop_duplicates().sort_values(["seed", "fold"]).to_numpy().tolist():
        rows = splits[(splits["seed"] == seed) & (splits["fold"] == fold)]
        tested = rows.loc[rows["role"] == "test", "sample"]
        if sample is not None and sample not in set(tested):
            continue
        train = study.subset(rows.loc[rows["role"] == "train", "sample"]).having(used)
        fitted = _saved(run.folder / "weights" / recipe / f"seed-{seed}_fold-{fold:03d}.safetensors")
        if fitted is None:
            fitted = refitted(train, seed, fold)
        test = study.subset(tested)
        if not test.has_any(used).any():
            continue
        test = test.having(used)
        _check_answers(run, fitted, test, recipe, seed, fold)
        if sample is not None and sample not in set(test.ids):
            raise StudyError(f"sample '{sample}' has none of the modalities of '{recipe}': {', '.join(used)}")
        asked = test if sample is None else test.subset([sample])
        yield Subject(fitted, train, asked, seed, fold, partial(refitted, seed=seed, fold=fold))


def run_modalities(run: Run, recipe: str) -> tuple[str, ...]:
    """Return the modalities that a recipe of a run used."""
    found = run.predictions.loc[run.predictions["recipe"] == recipe, "modalities"].map(tuple).unique()
    return tuple(dict.fromkeys(modality for row in found for modality in row))


def _saved(path: Path) -> Fitted | None:
    """Return the fit whose weights a run kept."""
    if not path.is_file():
        return None
    from polydx.training.weights import read_weights

    arrays, metadata = read_weights(path)
    return rebuild(json.loads(metadata["model"]), {name: array.numpy() for name, array in arrays.items()})


def _refitted(recipe: Recipe, train: Study, seed: int, fold: int, threads: int) -> Fitted:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        return recipe.fit(train, stream_seed(seed, recipe.name, fold))


def _check_study(run: Run, study: Study, tested: set[str], sample: str | None) -> None:
    known = set(study.ids)
    if study.name != run.study["name"] or not tested <= known:
        missing = f"; it lacks sample '{min(tested - known)}'" if tested - known else ""
        raise StudyError(f"{run.folder} is a run of study '{run.study['name']}', not of this '{study.name}'{missing}")
    if sample is not None and sample not in tested:
        raise StudyError(f"no fold of {run.folder} tested a sample '{sample}'; its samples stand in splits.csv")


def _check_answers(run: Run, fitted: Fitted, test: Study, recipe: str, seed: int, fold: int) -> None:
    """Refuse a fit that does not give the run's own answers: it would explain another model."""
    table = run.predictions
    own = table[(table["recipe"] == recipe) & (table["seed"] == seed) & (table["fold"] == fold)]
    for name, found in fitted.predict_proba(test).items():
        told = own[own["task"] == name].set_index(["sample", "class"])["probability"]
        classes = test.tasks[name].classes
        expected = np.array([[told.get((i, c), np.nan) for c in classes] for i in test.ids])
        worst = float(np.nanmax(np.abs(found - expected), initial=0.0))
        if worst > SAME:
            raise StudyError(
                f"recipe '{recipe}', seed {seed}, fold {fold}: probabilities of '{name}' differ by {worst:.3g} from "
                f"those of the run {run.folder}: the data or the versions of libraries have changed; run it again"
            )
