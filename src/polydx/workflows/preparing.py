"""A study.yaml, or a variant of it, read and checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polydx.config import ClassicalConfig, Config, ImagesConfig, ModalityConfig, ValidationConfig
from polydx.datasets.catalogue import build_study
from polydx.errors import ConfigError, Problem
from polydx.io.config_file import read_config, read_variants
from polydx.params import unknown
from polydx.progress import Progress, Silent
from polydx.recipes.protocol import Recipe
from polydx.splits import Fold, fold_notes, make_folds, stratifying_task
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
        sizes: network recipe -> parameters and multiply-adds; `check` alone counts them.
    """

    config: Config
    study: Study
    findings: list[Any]
    folds: dict[int, list[Fold]]
    notes: list[str]
    sizes: dict[str, Any] = field(default_factory=dict)


def prepare(
    path: str | Path,
    *,
    data: str | Path | None = None,
    recipes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    variant: str | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Read a study.yaml, or one of its variants, and its data, and check everything that can be checked before a fit.

    Raises:
        ConfigError, StudyError, ReadError, LeakageError: each says what is wrong, where, and what to do.
    """
    from polydx.validation.checks import check_study

    progress = progress or Silent()
    whole = one_variant(path, variant)
    config = narrowed(whole, recipes, seeds)
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
    return Prepared(resolved(config, Path(path).parent), study, check_study(study, first), folds, notes)


def check(
    path: str | Path,
    *,
    data: str | Path | None = None,
    variant: str | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Do everything a run does before its first fit: read, build every recipe, split, look for leakage."""
    from polydx.recipes.build import build_recipes
    from polydx.validation.checks import pretraining

    prepared = prepare(path, data=data, variant=variant, progress=progress)
    config, study = prepared.config, prepared.study
    built = build_recipes(config.recipes, study, config.validation.threads_per_fit, data)
    cheap_recipe(config, study)
    findings = [*pretraining(study, built), *prepared.findings]
    return replace(prepared, findings=findings, sizes=_sizes(config, study))


def _sizes(config: Config, study: Study) -> dict[str, Any]:
    if all(recipe.kind != "network" for recipe in config.recipes.values()):
        return {}  # without importing torch
    from polydx.recipes.sizes import network_sizes

    return network_sizes(config.recipes, study)


def variants(path: str | Path) -> list[str]:
    """Return the names of the variants of a study.yaml; none if it has no `variants:`."""
    return list(read_variants(path))


def one_variant(path: str | Path, name: str | None) -> Config:
    """Return a study.yaml as it stands, or one of its variants."""
    if name is None:
        return read_config(path)
    found = read_variants(path)
    if name not in found:
        what = unknown("variant", name, found) if found else "the study has no `variants:`"
        raise ConfigError("the study has no such variant", [Problem("--variant", what)])
    return found[name]


def narrowed(config: Config, recipes: Sequence[str], seeds: Sequence[int]) -> Config:
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


def resolved(config: Config, base: Path) -> Config:
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


def cheap_recipe(config: Config, study: Study) -> Recipe | None:
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
