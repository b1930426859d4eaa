"""External validation: a bundle on labelled patients of another centre."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from polydx.errors import ConfigError, LeakageError, Problem, counted
from polydx.progress import Progress, Silent
from polydx.study import Study
from polydx.workflows.preparing import one_variant, resolved

if TYPE_CHECKING:
    from polydx.bundle import Predictor

NAMED = 10
"""Patients or samples that a refusal names."""


def evaluate(
    model: str | Path,
    path: str | Path,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    variant: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Ask a bundle about labelled patients that it was not trained on, and write a run folder with metrics and report.

    Nothing is fitted: decisions are made at the bundle's own operating points.

    Args:
        model: file that `train` wrote.
        path: study.yaml of the other centre; of its `validation:`, `bootstrap` and the first seed count.
        out: run folder; `runs/<study>-external` if not given.
        data: folder of the named studies.
        variant: of the study's variants, the one whose data to take.
        progress: told how far it is.

    Returns:
        The run folder.

    Raises:
        BundleError: no bundle, or a broken one.
        StudyError: the model cannot answer for this study, or it does not hold together; everything is listed.
        LeakageError: patients or measurements of the training are in the study.
    """
    from polydx.bundle import load
    from polydx.bundle.aligned import aligned
    from polydx.datasets.catalogue import build_study
    from polydx.io.parts import Parts
    from polydx.recipes.store import MODEL
    from polydx.report.html import write_report
    from polydx.validation.checks import check_study, findings_json, refuse
    from polydx.validation.run_folder import EXTERNAL, check_folder, finish_run, read_run, start_run
    from polydx.validation.run_lock import locked

    told, predictor = progress or Silent(), load(model)
    config = one_variant(path, variant)
    told.say(f"reading {config.study.dataset or config.study.samples}")
    whole = build_study(config.study, Path(path).parent, data)
    _refuse_training(predictor, Parts(Path(model)).json(MODEL), whole)
    study, notes = aligned(predictor.model, whole)
    for note in notes:
        told.say(note)
    refuse(findings := check_study(study))
    folder = Path(out) if out is not None else Path("runs") / f"{study.name}-{EXTERNAL}"
    check_folder(folder, study)
    _keep_cross_validation(folder, study)
    recipe = str(predictor.model.about["recipe"])
    kept = {"bootstrap": config.validation.bootstrap, "seeds": config.validation.seeds[:1]}
    validation = type(config.validation)(**kept)
    config = resolved(config, Path(path).parent).model_copy(update={"recipes": {}, "validation": validation})
    with locked(folder):
        start_run(folder, config, study, findings_json(findings))
        told.say(f"predicting {counted(len(study), 'sample')} of {counted(len(study.patient_codes[1]), 'patient')}")
        started = perf_counter()
        predictions = _predictions(predictor, study, recipe)
        seconds = {"fit": 0.0, "predict": perf_counter() - started}
        sets = _sets(predictor, study)
        told.say("intervals")
        metrics = _metrics(predictor, study, predictions, config.validation, [*study.notes, *notes])
        metrics["recipes"][recipe]["seconds"] = seconds
        for name, found in sets.items():
            metrics["recipes"][recipe]["tasks"][name]["prediction_sets"] = found
        finish_run(folder, predictions, _splits(study), pd.DataFrame(), metrics)
        told.say("report")
        write_report(read_run(folder))
    return folder


def _keep_cross_validation(folder: Path, study: Study) -> None:
    """Refuse to write over the folds and figures of a run of the same study.

    Raises:
        ConfigError: the folder holds one.
    """
    from polydx.io.config_file import read_config

    # an evaluation's config.yaml has no recipes; a run, finished or not, has at least one
    if (folder / "config.yaml").is_file() and read_config(folder / "config.yaml").recipes:
        raise ConfigError(f"--out {folder} holds a cross-validation of '{study.name}': choose another folder")


def _refuse_training(predictor: Predictor, described: Any, study: Study) -> None:
    """Refuse a study that holds patients or measurements of the training.

    Raises:
        LeakageError: naming the patients.
    """
    from polydx.bundle.training import copies_of_training, seen_by_weights, trained_on

    used = [name for name in predictor.modalities if name in study.modalities] or list(study.modalities)
    patients, copies = trained_on(predictor.manifest, study, used)
    problems = []
    if patients:
        problems.append(Problem("patients", f"the model was trained on {_named(patients)}"))
    if copies:
        samples = _named(copies_of_training(predictor.manifest, study, used))
        problems.append(Problem("measurements", f"{copies} were in its training, those of samples {samples}"))
    before, more = seen_by_weights(described, study, used)
    if more > copies or set(before) - set(patients):
        told = f"have seen {counted(more, 'measurement')}, and the patients {_named(before) or '(none by name)'}"
        problems.append(Problem("weights", f"those of its networks, pretraining included, {told}"))
    if problems:
        raise LeakageError(
            f"study '{study.name}' is no external validation of this model: leave out whom it was trained on, or, "
            "where two people share an id, give the study another name",
            problems,
        )


def _named(found: Sequence[str]) -> str:
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


def _predictions(predictor: Predictor, study: Study, recipe: str) -> pd.DataFrame:
    from polydx.validation.predictions import predictions_frame

    fitted = predictor.model.fitted
    return predictions_frame(
        study, fitted.predict_proba(study), recipe=recipe, seed=0, fold=0, thresholds=fitted.thresholds,
        modalities=list(study.modalities),
    )  # fmt: skip


def _sets(predictor: Predictor, study: Study) -> dict[str, Any]:
    """Return how the bundle's prediction sets did, for patients; nothing for a bundle without them."""
    from polydx.bundle.answers import by_patient, named_patients
    from polydx.bundle.batch import Batch
    from polydx.validation.coverage import coverages

    origin = pd.DataFrame({"sample": study.ids}, dtype=object)
    answers = predictor.answer(Batch(origin, study.modalities, study.rows))
    answers = named_patients(answers, study.patients.tolist())
    return coverages(by_patient(predictor.model, answers), study, "patient")


def _splits(study: Study) -> pd.DataFrame:
    return pd.DataFrame({"sample": study.ids, "patient": study.patients, "seed": 0, "fold": 0, "role": "test"})


def _metrics(
    predictor: Predictor, study: Study, predictions: pd.DataFrame, validation: Any, notes: Sequence[str]
) -> dict[str, Any]:
    from polydx.validation.run_folder import EXTERNAL
    from polydx.validation.scores import score_predictions

    resamples, seed = validation.bootstrap, validation.seeds[0]
    scored = score_predictions(predictions, study.tasks, resamples=resamples, seed=seed)
    about = predictor.model.about
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
        "primary": None,
        "bundle": {"name": predictor.name, "about": dict(about)},
        "recipes": scored["recipes"],
        "comparisons": [],
        "scenario_losses": [],
        "leakage_gap": {},
        "notes": list(notes),
    }
