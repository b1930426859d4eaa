"""External validation: a bundle on labelled patients of another centre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from polydx.config import Config, ValidationConfig
from polydx.errors import ConfigError, LeakageError, counted
from polydx.progress import Progress, Silent
from polydx.study import Study
from polydx.workflows.preparing import one_variant, resolved

if TYPE_CHECKING:
    from polydx.bundle import Predictor
    from polydx.recipes.protocol import Probabilities


def evaluate(
    model: str | Path,
    path: str | Path,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    variant: str | None = None,
    seen: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Ask a bundle about labelled patients that it was not trained on, and write a run folder with metrics and report.

    Nothing is fitted: decisions are made at the bundle's own operating points.

    Args:
        model: file that `train` wrote.
        path: study.yaml of the other centre; of its `validation:`, `bootstrap`, the first seed, and task, level and
            metric of `primary` count.
        out: run folder; `runs/<study>-external` if not given.
        data: folder of the named studies.
        variant: of the study's variants, the one whose data to take.
        seen: where to write the samples whose patients or measurements the model was trained on, all of them.
        progress: told how far it is.

    Returns:
        The run folder.

    Raises:
        BundleError: no bundle, or a broken one.
        StudyError: the model cannot answer for this study, or it does not hold together; everything is listed.
        LeakageError: patients or measurements of the training are in the study.
        ConfigError: the folder holds something else, or `seen` cannot be written.
    """
    from polydx.bundle import load
    from polydx.bundle.aligned import aligned
    from polydx.bundle.writing import check_ending
    from polydx.datasets.catalogue import build_study
    from polydx.io.parts import Parts
    from polydx.recipes.store import MODEL
    from polydx.validation.checks import check_study, findings_json, refuse
    from polydx.validation.run_folder import EXTERNAL, check_folder
    from polydx.validation.run_lock import locked

    if seen is not None:
        check_ending(Path(seen))
    told, predictor = progress or Silent(), load(model)
    config = one_variant(path, variant)
    told.say(f"reading {config.study.dataset or config.study.samples}")
    whole = build_study(config.study, Path(path).parent, data)
    _refuse_training(predictor, Parts(Path(model)).json(MODEL), whole, None if seen is None else Path(seen))
    study, notes, warnings = aligned(predictor.model, whole)
    for note in notes:
        told.say(note)
    refuse(findings := check_study(study))
    folder = Path(out) if out is not None else Path("runs") / f"{study.name}-{EXTERNAL}"
    check_folder(folder, study)
    _keep_cross_validation(folder, study)
    config = _without_recipes(resolved(config, Path(path).parent))
    with locked(folder):
        _judge(predictor, study, config, folder, [*study.notes, *notes], warnings, findings_json(findings), told)
    return folder


def _judge(
    predictor: Predictor, study: Study, config: Config, folder: Path, notes: Sequence[str],
    warnings: Mapping[str, list[str]], findings: Sequence[Mapping[str, Any]], told: Progress,
) -> None:  # fmt: skip
    """Write the run folder: answers, warnings, figures and report."""
    from polydx.report.html import write_report
    from polydx.validation.run_folder import finish_run, read_run, start_run

    told.say(f"predicting {counted(len(study), 'sample')} of {counted(len(study.patient_codes[1]), 'patient')}")
    started = perf_counter()
    probabilities = predictor.model.fitted.predict_proba(study)
    seconds = {"fit": 0.0, "predict": perf_counter() - started}
    answers = _answers(predictor, study, probabilities, warnings)
    warned = _warned(answers)
    study = _grouped(study, warned)
    start_run(folder, config, study, findings)
    predictions = _predictions(predictor, study, probabilities)
    told.say("intervals")
    metrics = _metrics(predictor, study, predictions, config.validation, notes)
    own = metrics["recipes"][metrics["bundle"]["about"]["recipe"]]
    own["seconds"] = seconds
    for name, found in _sets(predictor, study, answers).items():
        own["tasks"][name]["prediction_sets"] = found
    metrics["warnings"] = _counts(study, warned)
    finish_run(folder, predictions, _splits(study), pd.DataFrame(), metrics, warnings=warned)
    told.say("report")
    write_report(read_run(folder))


def _without_recipes(config: Config) -> Config:
    """Return what counts of a study where nothing is fitted."""
    validation, primary = config.validation, config.validation.primary
    if primary is not None:
        primary = primary.model_copy(update={"recipe": None, "versus": None})
    kept = ValidationConfig(bootstrap=validation.bootstrap, seeds=validation.seeds[:1], primary=primary)
    return config.model_copy(update={"recipes": {}, "validation": kept})


def _keep_cross_validation(folder: Path, study: Study) -> None:
    """Refuse to write over the folds and figures of a run of the same study.

    Raises:
        ConfigError: the folder holds one.
    """
    from polydx.io.config_file import read_config

    # an evaluation's config.yaml has no recipes; a run, finished or not, has at least one
    if (folder / "config.yaml").is_file() and read_config(folder / "config.yaml").recipes:
        raise ConfigError(f"--out {folder} holds a cross-validation of '{study.name}': choose another folder")


def _refuse_training(predictor: Predictor, described: Any, study: Study, out: Path | None) -> None:
    """Refuse a study that holds patients or measurements of the training.

    Raises:
        LeakageError: naming the first of them; all samples are written to `out`, if given.
    """
    from polydx.bundle.training import reappearing
    from polydx.bundle.writing import writing

    used = [name for name in predictor.modalities if name in study.modalities] or list(study.modalities)
    found = reappearing(predictor.manifest, described, study, used)
    if out is not None:
        with writing(out) as write:
            write(found.samples)
    problems = found.problems()
    if problems:
        many = counted(len(found.samples), "sample")
        where = f"`--seen FILE` lists the {many}" if out is None else f"{out} lists the {many}"
        raise LeakageError(
            f"study '{study.name}' is no external validation of this model: leave out whom it was trained on ({where}),"
            " or, where two people share an id, give the study another name",
            problems,
        )


def _answers(
    predictor: Predictor, study: Study, probabilities: Probabilities, warnings: Mapping[str, list[str]]
) -> pd.DataFrame:
    """Return what `polydx predict` would answer, warnings included, with whose samples they are."""
    from polydx.bundle.answers import answered, named_patients
    from polydx.bundle.batch import Batch

    origin = pd.DataFrame({"sample": study.ids}, dtype=object)
    told = {i: warnings[sample] for i, sample in enumerate(map(str, study.ids)) if sample in warnings}
    batch = Batch(origin, study.modalities, study.rows, told)
    return named_patients(answered(predictor.model, batch, probabilities), study.patients.tolist())


def _warned(answers: pd.DataFrame) -> pd.DataFrame:
    """Return one row a warning: `sample`, `patient`, `modality`, `warning`."""
    rows = [
        (sample, patient, *told.split(": ", 1))
        for sample, patient, listed in zip(answers["sample"], answers["patient"], answers["warnings"], strict=True)
        for told in listed
    ]
    return pd.DataFrame(rows, columns=["sample", "patient", "modality", "warning"], dtype=object)


def _grouped(study: Study, warned: pd.DataFrame) -> Study:
    """Return the study with a subgroup of patients of whom any sample has a warning."""
    from polydx.validation.run_folder import WARNED

    some = study.samples["patient"].isin(warned["patient"])
    return replace(study, samples=study.samples.assign(**{WARNED: some.map({True: "some", False: "none"})}))


def _counts(study: Study, warned: pd.DataFrame) -> dict[str, Any]:
    """Return modality -> how many samples and patients that have it carry a warning, and the first one."""
    found = {}
    for name, own in warned.groupby("modality", sort=False):
        there = study.present(str(name))
        found[str(name)] = {
            "samples": int(own["sample"].nunique()),
            "of_samples": int(there.sum()),
            "patients": int(own["patient"].nunique()),
            "of_patients": len(set(study.patients[there])),
            "first": str(own["warning"].iloc[0]),
        }
    return found


def _predictions(predictor: Predictor, study: Study, probabilities: Probabilities) -> pd.DataFrame:
    from polydx.validation.predictions import predictions_frame

    return predictions_frame(
        study, probabilities, recipe=str(predictor.model.about["recipe"]), seed=0, fold=0,
        thresholds=predictor.model.fitted.thresholds, modalities=list(study.modalities),
    )  # fmt: skip


def _sets(predictor: Predictor, study: Study, answers: pd.DataFrame) -> dict[str, Any]:
    """Return how the bundle's prediction sets did, for patients; nothing for a bundle without them."""
    from polydx.bundle.answers import by_patient
    from polydx.validation.coverage import coverages

    return coverages(by_patient(predictor.model, answers), study, "patient")


def _splits(study: Study) -> pd.DataFrame:
    return pd.DataFrame({"sample": study.ids, "patient": study.patients, "seed": 0, "fold": 0, "role": "test"})


def _metrics(
    predictor: Predictor, study: Study, predictions: pd.DataFrame, validation: ValidationConfig, notes: Sequence[str]
) -> dict[str, Any]:
    from polydx.validation.run_folder import EXTERNAL
    from polydx.validation.scores import score_predictions

    resamples, seed = validation.bootstrap, validation.seeds[0]
    scored = score_predictions(predictions, study.tasks, resamples=resamples, seed=seed)
    about = predictor.model.about
    primary, why = _primary(validation, str(about["recipe"]), scored["recipes"])
    return {
        "schema": 1,
        "study": study.name,
        "simulated": study.simulated,
        "split": EXTERNAL,
        "split_in_words": (
            f"External validation: a model trained on {counted(about['patients'], 'patient')} of '{about['study']}' "
            f"answers for {counted(len(study.patient_codes[1]), 'patient')} of '{study.name}', none of whom it saw."
        ),
        "folds": 1,
        "seeds": [0],
        "resamples": resamples,
        "primary": primary,
        "bundle": {
            "name": predictor.name,
            "about": dict(about),
            "validation": dict(predictor.manifest.get("validation") or {"absent": "the bundle states none"}),
        },
        "recipes": scored["recipes"],
        "comparisons": [],
        "scenario_losses": [],
        "leakage_gap": {},
        "notes": [*notes, *why],
    }


def _primary(
    validation: ValidationConfig, recipe: str, scored: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the study's primary endpoint as one of this model, or None and why it is none."""
    declared = validation.primary
    if declared is None:
        return None, []
    tasks = scored[recipe]["tasks"]
    if declared.task not in tasks:
        why = f"task '{declared.task}' was not evaluated; evaluated: {', '.join(tasks)}"
    elif tasks[declared.task].get(declared.level) is None:
        why = tasks[declared.task].get(f"{declared.level}_reason", "no figures")
    else:
        return {**declared.model_dump(), "recipe": recipe, "versus": []}, []
    return None, [f"validation.primary of the study is left out: {why}"]
