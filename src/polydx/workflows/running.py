"""Cross-validate, report, compare: what `polydx run` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polydx.errors import ConfigError, PolydxError
from polydx.io.config_file import read_variants
from polydx.progress import Progress, Silent
from polydx.recipes.protocol import Recipe
from polydx.splits import describe_split
from polydx.workflows.explaining import explain_run
from polydx.workflows.preparing import Prepared, cheap_recipe, check, one_variant, prepare


def run(
    path: str | Path,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    recipes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    variants: Sequence[str] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Cross-validate every recipe on the same folds, and write the run folder with its report.

    Started again on the same folder, it takes the folds that are there and computes the rest. Every variant of a
    study.yaml gets a run folder of its own below `out`, and compare.html sets them side by side.

    Args:
        path: study.yaml.
        data: folder of the named studies.
        out: run folder; `runs/<study>` if not given, and with variants `runs/<name of the file>`.
        recipes: names to run; all if empty.
        seeds: in place of the YAML's.
        variants: names of those to run; all if empty.
        jobs: fits side by side; the number of cores if not given. Results do not depend on it.
        progress: told how far it is.

    Returns:
        The run folder, or the folder of the variants' run folders.

    Raises:
        ConfigError: no such variant, or a recipe that no variant has.
    """
    progress = progress or Silent()
    found = read_variants(path)
    chosen = list(variants) or list(found)
    for name in chosen:
        one_variant(path, name)
    target = None if out is None else Path(out)
    if not chosen:
        return _run(path, None, data=data, out=target, recipes=recipes, seeds=seeds, jobs=jobs, progress=progress)
    target = target or Path("runs") / Path(path).stem
    if len(chosen) > 1:
        _check_all(path, chosen, data, progress)
    folders = []
    for name in chosen:
        kept = [recipe for recipe in recipes if recipe in found[name].recipes]
        if recipes and not kept:
            progress.say(f"variant {name}: left out, it has no recipe {', '.join(recipes)}")
            continue
        progress.say(f"variant {name}")
        folders.append(
            _run(path, name, data=data, out=target / name, recipes=kept, seeds=seeds, jobs=jobs, progress=progress)
        )
    if not folders:
        raise ConfigError(f"no variant of {path} has a recipe {', '.join(recipes)}")
    if len(folders) > 1:
        compare(folders, out=target)
    return target


def _check_all(path: str | Path, chosen: Sequence[str], data: str | Path | None, progress: Progress) -> None:
    """Do what can be done before a fit for every variant, so that none ends a run of hours with a mistake."""
    from polydx.validation.checks import refuse

    for name in chosen:
        progress.say(f"checking variant {name}")
        try:
            refuse(check(path, data=data, variant=name).findings)
        except PolydxError as error:
            raise type(error)(f"variant {name}: {error.message}", error.problems) from error


def _run(
    path: str | Path,
    variant: str | None,
    *,
    data: str | Path | None,
    out: Path | None,
    recipes: Sequence[str],
    seeds: Sequence[int],
    jobs: int | None,
    progress: Progress,
) -> Path:
    """Cross-validate one study.yaml, or one variant of it, into one run folder."""
    from polydx.recipes.build import build_recipes
    from polydx.recipes.elsewhere import keep_pretrained
    from polydx.validation.checks import findings_json, refuse
    from polydx.validation.cross_validation import cross_validate
    from polydx.validation.run_folder import check_folder, finish_run, start_run
    from polydx.validation.run_lock import locked

    prepared = prepare(path, data=data, recipes=recipes, seeds=seeds, variant=variant, progress=progress)
    config, study = prepared.config, prepared.study
    refuse(prepared.findings)
    folder = out if out is not None else Path("runs") / study.name
    built = build_recipes(config.recipes, study, config.validation.threads_per_fit, data, folder / "pretrained")
    if not built:
        raise ConfigError(f"{path} has no `recipes:`: name at least one")
    cheap = cheap_recipe(config, study)
    jobs = jobs or os.cpu_count() or 1
    check_folder(folder, study)
    with locked(folder):
        start_run(folder, config, study, findings_json(prepared.findings))
        keep_pretrained(built.values(), study, jobs, progress)
        progress.begin("fits", len(built) * sum(map(len, prepared.folds.values())))
        result = cross_validate(
            study,
            built,
            config.validation,
            jobs=jobs,
            folder=folder,
            on_fold=lambda job, done: progress.step(_told(job, done)),
            check=False,
        )
        progress.say("leakage gap, intervals and tests")
        gap = _gap(prepared, cheap, folder, jobs)
        metrics = _metrics(prepared, result, gap)
        also = {"scenarios": result.scenarios, "modality_weights": result.modality_weights}
        finish_run(folder, result.predictions, result.splits, result.history, metrics, **also)
        if config.validation.explain:
            explain_run(folder, study, data=data, progress=progress)
        progress.say("report")
        report(folder)
    return folder


def _told(job: Any, outcome: Any) -> str:
    return f"{job.recipe.name} fold {job.fold.number}{' (on disk)' if outcome.reused else ''}"


def demo(*, out: str | Path = "runs/demo", jobs: int | None = None, progress: Progress | None = None) -> Path:
    """Run the main job on the simulated cohort that ships with polydx: no data needed."""
    from importlib.resources import as_file, files

    with as_file(files("polydx.datasets") / "demo.yaml") as path:
        return run(path, out=out, jobs=jobs, progress=progress)


def report(folder: str | Path) -> Path:
    """Write report.html and figures/ of a finished run again, from its files alone."""
    from polydx.report.html import write_report
    from polydx.validation.run_folder import read_run

    return write_report(read_run(Path(folder)))


def compare(runs: Sequence[str | Path], *, out: str | Path) -> Path:
    """Write one page that puts finished runs side by side."""
    from polydx.report.compare import write_comparison
    from polydx.validation.run_folder import read_run

    if len(runs) < 2:
        raise ConfigError("nothing to compare: give two run folders or more")
    return write_comparison([read_run(Path(r)) for r in runs], Path(out))


def _metrics(prepared: Prepared, result: Any, gap: Mapping[str, Any]) -> dict[str, Any]:
    from polydx.validation.missing import missing_figures, scenario_losses
    from polydx.validation.scores import score_predictions

    config, study = prepared.config, prepared.study
    primary, folds = config.validation.primary, prepared.folds[config.validation.seeds[0]]
    declared = None if primary is None else {**primary.model_dump(), "versus": primary.opponents}
    resamples, seed = config.validation.bootstrap, config.validation.seeds[0]
    scored = score_predictions(result.predictions, study.tasks, resamples=resamples, seed=seed, primary=declared)
    for name, found in scored["recipes"].items():
        found["seconds"] = result.seconds[name]
    tables = result.predictions, result.scenarios, study.tasks
    for name, by_task in missing_figures(*tables, resamples=resamples, seed=seed).items():
        for task, found in by_task.items():
            scored["recipes"][name]["tasks"][task] |= found
    return {
        "schema": 1,
        "study": study.name,
        "simulated": study.simulated,
        "split": config.validation.split,
        "split_in_words": describe_split(config.validation, folds),
        "folds": len(folds),
        "seeds": list(config.validation.seeds),
        "resamples": config.validation.bootstrap,
        "primary": declared,
        "recipes": scored["recipes"],
        "comparisons": scored["comparisons"],
        "scenario_losses": scenario_losses(*tables, resamples=resamples, seed=seed, primary=declared),
        "leakage_gap": gap,
        "notes": [*prepared.notes, *result.notes],
    }


def _gap(prepared: Prepared, recipe: Recipe | None, folder: Path, jobs: int) -> dict[str, Any]:
    from polydx.validation.leakage_gap import leakage_gap

    study, validation = prepared.study, prepared.config.validation
    if recipe is None:
        none = {"by_sample": None, "by_patient": None, "gap": None, "reason": "no spectra that every sample has"}
        return {task: {"recipe": None, "metric": "accuracy", "level": "sample", **none} for task in study.tasks}
    folds = min(5, len(study.patient_codes[1]))
    return leakage_gap(
        study, recipe, folds, validation.seeds[0], jobs=jobs, folder=folder, resamples=validation.bootstrap
    )
