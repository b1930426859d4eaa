"""One function a verb of the command line: what `polydx run` does, callable from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError

from polydx import __version__
from polydx.config import ClassicalConfig, Config, ImagesConfig, ModalityConfig, ValidationConfig
from polydx.datasets.catalogue import build_study
from polydx.errors import ConfigError, Problem
from polydx.io.config_file import read_config
from polydx.params import unknown
from polydx.progress import Progress, Silent
from polydx.recipes.protocol import Recipe
from polydx.splits import Fold, describe_split, fold_notes, make_folds, stratifying_task
from polydx.study import Study

CHEAP = {"kind": "classical", "model": "logistic_regression", "params": {"C": 0.01}}
CHEAP_STEPS = [{"savitzky_golay": {"window": 11, "order": 3, "derivative": 1}}, "snv", "standardise"]


@dataclass(frozen=True)
class Prepared:
    """A study.yaml, read and checked: nothing is fitted yet.

    Attributes:
        config: resolved, with overrides from the command line.
        study: the patients.
        findings: of the integrity and leakage checks.
        folds: seed -> folds.
        notes: what overrides changed, one sentence each.
    """

    config: Config
    study: Study
    findings: list[Any]
    folds: dict[int, list[Fold]]
    notes: list[str]


def prepare(
    path: str | Path,
    *,
    data: str | Path | None = None,
    recipes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    progress: Progress | None = None,
) -> Prepared:
    """Read a study.yaml and its data, and check everything that can be checked before a fit.

    Raises:
        ConfigError, StudyError, ReadError, LeakageError: each says what is wrong, where, and what to do.
    """
    from polydx.validation.checks import check_study

    progress = progress or Silent()
    whole = read_config(path)
    config = _narrowed(whole, recipes, seeds)
    progress.say(f"reading {config.study.dataset or config.study.samples}")
    study = build_study(config.study, Path(path).parent, data)
    _check_endpoint(config, study)
    folds = {seed: make_folds(study, config.validation, seed) for seed in config.validation.seeds}
    first = folds[config.validation.seeds[0]]
    notes = []
    if whole.validation.primary is not None and config.validation.primary is None:
        notes.append("the primary endpoint is left out: it names a recipe that --recipe leaves out")
    for note in (*notes, *fold_notes(study, first)):
        progress.say(note)
    return Prepared(_resolved(config, Path(path).parent), study, check_study(study, first), folds, notes)


def check(path: str | Path, *, data: str | Path | None = None, progress: Progress | None = None) -> Prepared:
    """Do everything a run does before its first fit: read, build every recipe, split, look for leakage."""
    from polydx.recipes.build import build_recipes
    from polydx.validation.checks import pretraining

    prepared = prepare(path, data=data, progress=progress)
    config, study = prepared.config, prepared.study
    built = build_recipes(config.recipes, study, config.validation.threads_per_fit, data)
    _cheap_recipe(config, study)
    return replace(prepared, findings=[*pretraining(study, built), *prepared.findings])


def run(
    path: str | Path,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    recipes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Cross-validate every recipe on the same folds, and write the run folder with its report.

    Started again on the same folder, it takes the folds that are there and computes the rest.

    Args:
        path: study.yaml.
        data: folder of the named studies.
        out: run folder; `runs/<study>` if not given.
        recipes: names to run; all if empty.
        seeds: in place of the YAML's.
        jobs: fits side by side; the number of cores if not given. Results do not depend on it.
        progress: told how far it is.

    Returns:
        The run folder.
    """
    from polydx.recipes.build import build_recipes
    from polydx.validation.checks import findings_json, refuse
    from polydx.validation.cross_validation import cross_validate
    from polydx.validation.run_folder import check_folder, finish_run, start_run
    from polydx.validation.run_lock import locked

    progress = progress or Silent()
    prepared = prepare(path, data=data, recipes=recipes, seeds=seeds, progress=progress)
    config, study = prepared.config, prepared.study
    refuse(prepared.findings)
    built = build_recipes(config.recipes, study, config.validation.threads_per_fit, data)
    if not built:
        raise ConfigError(f"{path} has no `recipes:`: name at least one")
    cheap = _cheap_recipe(config, study)
    folder = Path(out) if out is not None else Path("runs") / study.name
    jobs = jobs or os.cpu_count() or 1
    check_folder(folder, study)
    with locked(folder):
        start_run(folder, config, study, findings_json(prepared.findings))
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
        finish_run(folder, result.predictions, result.splits, result.history, metrics)
        progress.say("report")
        report(folder)
    return folder


def _told(job: Any, outcome: Any) -> str:
    return f"{job.recipe.name} fold {job.fold.number}{' (on disk)' if outcome.reused else ''}"


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


def init(folder: str | Path, *, force: bool = False) -> tuple[list[Path], tuple[str, ...]]:
    """Write a first study.yaml (and a samples table where one is needed) into a user's folder.

    Returns:
        The files written, study.yaml first, and what the user should know.

    Raises:
        ConfigError: there is a study.yaml already, and `force` is not given.
    """
    from polydx.datasets.propose import propose_study
    from polydx.io.atomic import replacing, write_text

    target = Path(folder) / "study.yaml"
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already: edit it, or give --force to write a new one over it")
    proposal = propose_study(folder)
    written = [target]
    if proposal.samples is not None:
        written.append(Path(folder) / proposal.samples_file)
        with replacing(written[1]) as temporary:
            proposal.samples.to_csv(temporary, index=False)
    write_text(target, proposal.yaml)
    return written, proposal.notes


def list_datasets(data: str | Path | None = None) -> list[tuple[str, str, str]]:
    """Return name, summary and where it is (or how to get it) of every named study."""
    from polydx.datasets.catalogue import DATASETS, find_folder
    from polydx.errors import ReadError

    listed = []
    for name, dataset in DATASETS.items():
        try:
            where = str(find_folder(name, data)) if dataset.local else "built in"
        except ReadError:
            how = "downloads" if dataset.archive is not None else "says where to get it"
            where = f"not here: `polydx data fetch {name}` {how}"
        listed.append((name, dataset.summary, where))
    return listed


def fetch(
    name: str, *, from_dir: str | Path | None = None, data: str | Path | None = None, progress: Any = None
) -> Path:
    """Download a named study and verify it, or register a local copy; see `polydx.datasets.fetch.fetch`."""
    from polydx.datasets.fetch import fetch as bring

    return bring(name, from_dir=from_dir, data=data, progress=progress)


def demo(*, out: str | Path = "runs/demo", jobs: int | None = None, progress: Progress | None = None) -> Path:
    """Run the main job on the simulated cohort that ships with polydx: no data needed."""
    from importlib.resources import as_file, files

    with as_file(files("polydx.datasets") / "demo.yaml") as path:
        return run(path, out=out, jobs=jobs, progress=progress)


def train(
    path: str | Path,
    *,
    recipe: str,
    out: str | Path,
    data: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Fit one recipe on all patients and write the model as a folder of data.

    Raises:
        ConfigError: the study has no such recipe.
    """
    from polydx.recipes.build import build_recipes
    from polydx.recipes.protocol import stream_seed
    from polydx.recipes.store import save_model
    from polydx.validation.checks import refuse

    progress = progress or Silent()
    prepared = prepare(path, data=data, recipes=[recipe], progress=progress)
    refuse(prepared.findings)
    study, threads = prepared.study, os.cpu_count() or 1
    built = build_recipes(prepared.config.recipes, study, threads, data)[recipe]
    progress.say(f"fitting {recipe} on {len(study)} samples of {len(study.patient_codes[1])} patients")
    fitted = built.fit(study, stream_seed(seed, recipe, -1 % 2**31))
    for note in fitted.notes:
        progress.say(note)
    about = {
        "polydx": __version__, "study": study.name, "recipe": recipe, "seed": seed, "simulated": study.simulated,
        "samples": len(study), "patients": len(study.patient_codes[1]),
    }  # fmt: skip
    save_model(Path(out), fitted, built, study, about)
    return Path(out)


def pretrain(
    path: str | Path,
    *,
    recipe: str,
    out: str | Path,
    data: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Path, list[str]]:
    """Pretrain the backbones of a network recipe on all patients of a study, as its `pretrain:` section says.

    Returns:
        The weights file, whose manifest names the patients and measurements seen, and what the fit noted.

    Raises:
        ConfigError: the study has no such recipe, or the recipe is no network.
    """
    from polydx.config import NetworkConfig
    from polydx.recipes.pretrain import pretrain as fit_pretrained
    from polydx.recipes.pretrain import save_pretrained

    progress = progress or Silent()
    config = _narrowed(read_config(path), [recipe], [])
    wanted = config.recipes[recipe]
    if not isinstance(wanted, NetworkConfig):
        raise ConfigError(f"recipe '{recipe}' is of kind {wanted.kind}; only a network can be pretrained")
    study = build_study(config.study, Path(path).parent, data)
    progress.say(f"pretraining {recipe} on {len(study)} samples of {len(study.patient_codes[1])} patients")
    fitted = fit_pretrained(study, wanted, seed, os.cpu_count() or 1)
    target = Path(out)
    save_pretrained(target, fitted)
    return target, fitted.notes


def extract(
    model: str | Path,
    path: str | Path,
    *,
    stage: str,
    out: str | Path,
    pool: Literal["average", "flat"] = "average",
    recipe: str | None = None,
    data: str | Path | None = None,
) -> tuple[Path, tuple[int, int]]:
    """Write the features of every sample of a study at one stage of a network, as Parquet or CSV.

    Args:
        model: folder that `train` wrote, weights that `pretrain` wrote, or a run folder.
        path: study.yaml, or the name of a study.
        stage: `<modality>.<stage>`, or `embedding`.
        out: file, .parquet or .csv.
        pool: mean over the positions of the map, or all of them side by side.
        recipe: of a run folder with several.
        data: folder of the named studies.

    Returns:
        The file, and its samples and features.
    """
    from polydx.datasets.catalogue import load_study
    from polydx.recipes.extract import extract as cut
    from polydx.recipes.extract import load_network, write_features

    study = load_study(path, data)
    frame = cut(load_network(Path(model), recipe), study, stage, pool)
    write_features(frame, Path(out))
    return Path(out), (len(frame), len(frame.columns) - 2 - len(study.tasks))


def predict(model: str | Path, files: Sequence[str | Path], *, progress: Progress | None = None) -> pd.DataFrame:
    """Predict spectra or images in files with a trained model.

    Args:
        model: folder that `train` wrote.
        files: spectra, or images, in any format that can be read; a file may hold several spectra or frames.
        progress: told how far it is.

    Returns:
        One row a spectrum or frame (file, row), or with a model of `unit: patient` one row a file, which holds those of
        one patient (file, spectra or images); and for each task the decision and the probability of each class.

    Raises:
        BundleError: the folder is no model.
        ReadError: a file cannot be read or does not cover the model's axis; all are listed.
        SpectrumError, ImageError: the preprocessing cannot work on a spectrum, such as a constant one, or on an image;
            all files are listed.
    """
    from polydx.recipes.predicting import predict_files
    from polydx.recipes.store import load_model

    return predict_files(load_model(Path(model)), [Path(f) for f in files], progress or Silent())


def _narrowed(config: Config, recipes: Sequence[str], seeds: Sequence[int]) -> Config:
    """Apply --recipe and --seed; a primary endpoint without its recipe is dropped."""
    problems = [
        Problem("--recipe", unknown("recipe", name, config.recipes)) for name in recipes if name not in config.recipes
    ]
    if problems:
        raise ConfigError("the study has no such recipe", problems)
    kept = {name: c for name, c in config.recipes.items() if not recipes or name in recipes}
    validation, primary = config.validation, config.validation.primary
    named = {primary.recipe, *(primary.opponents or [])} if primary else set()
    if not named <= set(kept):
        validation = validation.model_copy(update={"primary": None})
    if seeds:
        validation = _with_seeds(validation, seeds)
    return config.model_copy(update={"recipes": kept, "validation": validation})


def _with_seeds(validation: ValidationConfig, seeds: Sequence[int]) -> ValidationConfig:
    try:
        return ValidationConfig.model_validate({**validation.model_dump(), "seeds": list(seeds)})
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--seed {' '.join(map(str, seeds))}: {told}") from None


def _resolved(config: Config, base: Path) -> Config:
    """Make paths absolute, so that the copy in the run folder can be run again from anywhere."""
    from polydx.recipes.paths import with_absolute_paths

    config = config.model_copy(update={"recipes": with_absolute_paths(config.recipes, base)})
    if config.study.samples is None:
        return config
    modalities = {name: _absolute(m, base) for name, m in config.study.modalities.items()}
    paths = {"samples": (base / config.study.samples).resolve(), "modalities": modalities}
    named = {"name": config.study.name or base.resolve().name}
    return config.model_copy(update={"study": config.study.model_copy(update=paths | named)})


def _absolute(modality: ModalityConfig, base: Path) -> ModalityConfig:
    if isinstance(modality, ImagesConfig) or modality.file is None:
        return modality
    return modality.model_copy(update={"file": (base / modality.file).resolve()})


def _check_endpoint(config: Config, study: Study) -> None:
    """Refuse a primary endpoint that this study cannot have."""
    primary = config.validation.primary
    if primary is None:
        return
    stratifying_task(study, config.validation)
    task = study.tasks.get(primary.task)
    if task is not None and primary.level == "patient" and task.level == "sample" and study.unit == "sample":
        raise ConfigError(f"validation.primary: '{primary.task}' is a task of samples; set `level: sample`")


def _metrics(prepared: Prepared, result: Any, gap: Mapping[str, Any]) -> dict[str, Any]:
    from polydx.validation.scores import score_predictions

    config, study = prepared.config, prepared.study
    primary, folds = config.validation.primary, prepared.folds[config.validation.seeds[0]]
    declared = None if primary is None else {**primary.model_dump(), "versus": primary.opponents}
    scored = score_predictions(
        result.predictions,
        study.tasks,
        resamples=config.validation.bootstrap,
        seed=config.validation.seeds[0],
        primary=declared,
    )
    for name, found in scored["recipes"].items():
        found["seconds"] = result.seconds[name]
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
        "leakage_gap": gap,
        "notes": [*prepared.notes, *result.notes],
    }


def _cheap_recipe(config: Config, study: Study) -> Recipe | None:
    """Return what the leakage gap is measured with: the study's own classical `logistic`, else one of ours.

    Ours takes the spectra that every sample has; None where there are none.
    """
    from polydx.recipes.build import build_recipes
    from polydx.recipes.inputs import spectral_modalities

    named: Any = config.recipes.get("logistic")
    if not isinstance(named, ClassicalConfig):
        steps = {name: CHEAP_STEPS for name in spectral_modalities(study) if study.present(name).all()}
        named = {**CHEAP, "preprocessing": steps} if steps else None
    return None if named is None else build_recipes({"logistic": named}, study)["logistic"]


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
