"""Models: fit one on all patients, pretrain, cut features."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from polydx import __version__
from polydx.datasets.catalogue import build_study
from polydx.errors import ConfigError, StudyError, counted
from polydx.io.config_file import read_config
from polydx.progress import Progress, Silent
from polydx.recipes.protocol import Wrapping
from polydx.recipes.provenance import already_seen
from polydx.study import Study
from polydx.workflows.preparing import narrowed, prepare

if TYPE_CHECKING:
    from polydx.recipes.conformal import ConformalScores
    from polydx.recipes.protocol import Fitted, Recipe


def train(
    path: str | Path,
    *,
    recipe: str,
    out: str | Path,
    data: str | Path | None = None,
    seed: int = 0,
    variant: str | None = None,
    run: str | Path | None = None,
    include_training_data: bool = False,
    sets: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Fit one recipe on all patients and write the model as a bundle: one file that runs without torch.

    Args:
        path: study.yaml.
        recipe: the recipe to fit.
        out: the file to write; `.zip` is added where it does not end so.
        data: folder of the named studies.
        seed: of the fit.
        variant: of the study's variants, the one to fit.
        run: folder of a run whose figures the bundle states; by default `runs/<study>`, if it ran the same recipe.
        include_training_data: allow models that hold measurements of training patients.
        sets: fit the recipe to inner folds too, for prediction sets.
        progress: told how far it is.

    Returns:
        The file.

    Raises:
        ConfigError: the study has no such recipe, the model holds training data and that was not allowed, or the file
            cannot be written.
        BundleError: the exported model does not answer as the recipe does.
    """
    from polydx.bundle.export import export_bundle
    from polydx.bundle.figures import figures_for
    from polydx.io.atomic import check_writable
    from polydx.recipes.build import build_recipes
    from polydx.recipes.protocol import stream_seed
    from polydx.recipes.tuned import Tuned
    from polydx.validation.checks import refuse

    progress = progress or Silent()
    target = Path(out) if str(out).endswith(".zip") else Path(f"{out}.zip")
    check_writable(target)
    prepared = prepare(path, data=data, recipes=[recipe], variant=variant, progress=progress)
    refuse(prepared.findings)
    study, threads = prepared.study, os.cpu_count() or 1
    built = build_recipes(prepared.config.recipes, study, threads, data)[recipe]
    validation = figures_for(run, prepared.config, study.name, recipe)
    study = study.having(built.modalities)
    progress.say(f"fitting {recipe} on {len(study)} samples of {len(study.patient_codes[1])} patients")
    if sets:
        progress.say("and on inner folds, for prediction sets (`--no-sets` leaves them out)")
    if len(study) < len(prepared.study):
        left = counted(len(prepared.study) - len(study), "sample")
        progress.say(f"left out: {left} with none of {', '.join(built.modalities)}")
    own = stream_seed(seed, recipe, -1 % 2**31)
    fitted, scores = _fitted(built, study, own, sets, progress)
    if (built.config.get("search") or isinstance(built, Tuned) or scores) and (told := already_seen(built, study)):
        fitted.notes.append(told)
    for note in fitted.notes:
        progress.say(note)
    about = {
        "polydx": __version__, "study": study.name, "recipe": recipe, "seed": seed, "simulated": study.simulated,
        "samples": len(study), "patients": len(study.patient_codes[1]),
    }  # fmt: skip
    progress.say("exporting, and comparing with the recipe on every training sample")
    export_bundle(
        target, fitted, built, study, about,
        validation=validation, include_training_data=include_training_data, sets=scores,
    )  # fmt: skip
    return target


def _fitted(
    recipe: Recipe, study: Study, seed: int, sets: bool, progress: Progress
) -> tuple[Fitted, ConformalScores | None]:
    """Return the fit, and what prediction sets are made of; the fits of inner folds serve all that needs them.

    Without sets, which is told, where they are not wanted or an inner fold is too small for a fit.
    """
    from polydx.recipes.conformal_fit import can_narrow, no_scores, scores_of
    from polydx.recipes.out_of_fold import INNER_FOLDS, held_out
    from polydx.recipes.tuned import Tuned

    inner = isinstance(recipe, Tuned) or (sets and can_narrow(study))
    progress.begin("fits", 1 + inner * min(INNER_FOLDS, len(study.patient_codes[1])))
    if isinstance(recipe, Tuned):
        fitted, told = replace(recipe, recipe=_Stepping(recipe.recipe, progress)).fit_and_hold_out(study, seed)
        return fitted, scores_of(study, told) if sets else None
    stepping = _Stepping(recipe, progress)
    fitted = stepping.fit(study, seed)
    if not sets:
        return fitted, None
    if not inner:
        progress.say("too few patients of a class for any task: prediction sets will hold all classes")
        return fitted, no_scores(study)
    try:
        return fitted, scores_of(study, held_out(stepping, study, seed))
    except StudyError as error:
        progress.say(f"no prediction sets: an inner fold cannot be fitted ({error.message})")
        return fitted, None


@dataclass(frozen=True)
class _Stepping(Wrapping):
    """A recipe that tells of each fit."""

    progress: Progress

    def fit(self, study: Study, seed: int, log: Path | None = None) -> Fitted:
        fitted = self.recipe.fit(study, seed, log)
        self.progress.step(f"on {counted(len(study.patient_codes[1]), 'patient')}")
        return fitted


def pretrain(
    path: str | Path,
    *,
    recipe: str,
    out: str | Path,
    data: str | Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Path, list[str]]:
    """Pretrain the backbones of a network recipe on all patients of a study, as its `pretrain:` section says.

    Args:
        path: study.yaml.
        recipe: a network with a `pretrain:` section.
        out: the weights file, .safetensors.
        data: folder of the named studies.
        seed: of weights, batches and views.
        threads: of the fit; the number of cores if not given. Another number gives slightly other weights.
        progress: told how far it is.

    Returns:
        The weights file, whose manifest names the patients and measurements seen, and what the fit noted.

    Raises:
        ConfigError: the study has no such recipe, or the recipe is no network.
    """
    from polydx.config import NetworkConfig
    from polydx.recipes.pretrain import pretrain as fit_pretrained
    from polydx.recipes.pretrain import save_pretrained

    progress = progress or Silent()
    config = narrowed(read_config(path), [recipe], [])
    wanted = config.recipes[recipe]
    if not isinstance(wanted, NetworkConfig):
        raise ConfigError(f"recipe '{recipe}' is of kind {wanted.kind}; only a network can be pretrained")
    study = build_study(config.study, Path(path).parent, data)
    progress.say(f"pretraining {recipe} on {len(study)} samples of {len(study.patient_codes[1])} patients")
    fitted = fit_pretrained(study, wanted, seed, threads or os.cpu_count() or 1)
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
        model: bundle that `train` wrote, weights that `pretrain` wrote, or a run folder.
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
