"""Search for the settings of a recipe, and see what was tried."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from polydx import __version__
from polydx.errors import ConfigError, Problem
from polydx.io.atomic import replacing, write_json, write_text
from polydx.progress import Progress, Silent
from polydx.workflows.preparing import narrowed, one_variant, prepare

if TYPE_CHECKING:
    from polydx.config import Config
    from polydx.recipes.search import Found, Searched, Trial
    from polydx.study import Study

TRIALS, TABLE, RECIPE = "trials.json", "trials.csv", "recipe.yaml"
"""What a search leaves in its folder: for going on with it, for looking at it, and the recipe that it found."""


def tune(
    path: str | Path,
    *,
    recipe: str,
    out: str | Path,
    data: str | Path | None = None,
    seed: int = 0,
    trials: int | None = None,
    variant: str | None = None,
    progress: Progress | None = None,
) -> tuple[Path, Found]:
    """Search for a recipe's settings on inner folds of all patients, as its `search:` section says.

    What is found was chosen on these very patients: a figure of it on them is flattered. `run` searches inside every
    fold, and `train` on all patients, as this does.

    Args:
        path: study.yaml.
        recipe: one with a `search:` section.
        out: folder for the trials and the recipe that was found; a search that was stopped goes on from it.
        data: folder of the named studies.
        seed: of folds, fits and draws.
        trials: in place of the YAML's.
        variant: of the study's variants, the one to search on.
        progress: told of each trial.

    Returns:
        The folder, and what was found.

    Raises:
        ConfigError: the study has no such recipe, it has no search, or the folder holds another search.
        StudyError: no setting can be fitted.
    """
    from polydx.recipes.build import build_recipes
    from polydx.recipes.protocol import stream_seed
    from polydx.recipes.provenance import already_seen
    from polydx.recipes.tuned import Tuned
    from polydx.validation.checks import refuse

    progress, folder = progress or Silent(), Path(out)
    _check_search(narrowed(one_variant(path, variant), [recipe], []), recipe)
    prepared = prepare(path, data=data, recipes=[recipe], variant=variant, progress=progress)
    refuse(prepared.findings)
    config = prepared.config.recipes[recipe]
    if trials is not None and config.search is not None:
        config = config.model_copy(update={"search": config.search.model_copy(update={"trials": trials})})
    whole = {**prepared.config.recipes, recipe: config}
    built = build_recipes(whole, prepared.study, os.cpu_count() or 1, data)[recipe]
    searched = cast("Searched", built.recipe if isinstance(built, Tuned) else built)  # as `_check_search` made sure
    study = prepared.study.having(searched.modalities)
    if told := already_seen(searched, study):
        progress.say(told)
    known = _known(folder, key := _key(searched, study, seed))
    return folder, _searched(searched, study, stream_seed(seed, recipe, -1 % 2**31), folder, key, known, progress)


def _check_search(config: Config, recipe: str) -> None:
    if config.recipes[recipe].search is None:
        told = (
            "it has no `search:`, such as `search: {space: {params.C: {low: 0.001, high: 10, log: true}}, trials: 20}`"
        )
        raise ConfigError(f"nothing to search for in recipe '{recipe}'", [Problem(f"recipes.{recipe}", told)])


def _searched(
    searched: Searched, study: Study, seed: int, folder: Path, key: dict[str, Any], known: dict[int, Trial],
    progress: Progress,
) -> Found:  # fmt: skip
    """Search, and leave in the folder what was tried, after each trial, and what was found."""
    from polydx.recipes.search import in_words

    tried: list[Trial] = []

    def on_trial(trial: Trial) -> None:
        tried.append(trial)
        if known.get(trial.number) is not trial:
            write_json(folder / TRIALS, {**key, "trials": [asdict(t) for t in tried]})
        told = "failed" if trial.failure else "not judged" if trial.score is None else f"{trial.score:.4g}"
        progress.step(f"{told}: {in_words(trial.settings) or 'as written'}")

    if known:
        progress.say(f"going on with {len(known)} trials that {folder} holds")
    progress.begin("trials", searched.count)
    found = searched.find(study, seed, on_trial, known)
    with replacing(folder / TABLE) as temporary:
        _table(found).to_csv(temporary, index=False)
    write_text(folder / RECIPE, _recipe(searched, study, found))
    return found


def _key(searched: Searched, study: Study, seed: int) -> dict[str, Any]:
    """Return what trials belong to; the number of trials is no part of it, so that a search can be prolonged."""
    search = searched.search.model_dump(mode="json", exclude={"trials"})
    written = json.loads(json.dumps(searched.recipe.config | {"search": search}))
    return {"polydx": __version__, "study": study.fingerprint(), "seed": seed, "recipe": written}


def _known(folder: Path, key: dict[str, Any]) -> dict[int, Trial]:
    """Return the trials of a search that was stopped, by number."""
    from polydx.recipes.search import Trial

    if not (folder / TRIALS).is_file():
        return {}
    try:
        content = json.loads((folder / TRIALS).read_text(encoding="utf-8"))
        trials = [Trial(**trial) for trial in content.pop("trials")]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(f"{folder / TRIALS} is damaged: delete it, and the search starts anew") from None
    if content != key:
        raise ConfigError(
            f"{folder} holds the trials of another search (study, recipe, space or seed): give another --out"
        )
    return {trial.number: trial for trial in trials}


def _table(found: Found) -> pd.DataFrame:
    """Return one row a trial."""
    rows = [
        {
            "trial": t.number, **t.settings, found.metric: t.score,
            **{f"{found.metric} {task}": score for task, score in t.tasks.items() if len(t.tasks) > 1},
            "seconds": round(t.seconds, 2), "failure": t.failure,
        }
        for t in found.trials
    ]  # fmt: skip
    places = [place for trial in found.trials for place in trial.settings]
    columns = ["trial", *dict.fromkeys(places)]
    frame = pd.DataFrame(rows, dtype=object)  # whole numbers stay whole beside a trial without the setting
    return frame[[*columns, *(c for c in frame.columns if c not in columns)]]


def _recipe(searched: Searched, study: Study, found: Found) -> str:
    """Return the recipe that was found, as YAML."""
    import yaml

    from polydx.recipes.build import shortest
    from polydx.recipes.places import placed

    section = shortest(placed(searched.written, found.best.settings))
    body = yaml.safe_dump({"recipes": {searched.name: section}}, sort_keys=False, allow_unicode=True)
    return (
        f"# Chosen from {len(found.trials)} settings on inner folds of all {len(study.patient_codes[1])} patients of"
        f" {study.name}: figures of it on these\n# patients are flattered. With its `search:` in place, `polydx run`"
        f" searches inside every fold, and `polydx train` on all.\n{body}"
    )
