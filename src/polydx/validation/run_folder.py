"""The run folder: everything a `polydx run` produced, by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, TypeAdapter

from polydx.config import Config
from polydx.errors import ConfigError, ReadError
from polydx.io.atomic import replacing, write_json, write_text
from polydx.io.config_file import read_config, to_yaml
from polydx.io.stored import check_stored, check_tasks
from polydx.study import Spectra, Study, Task
from polydx.validation.environment import environment
from polydx.validation.participants import describe_participants
from polydx.validation.predictions import read_predictions, write_predictions
from polydx.validation.run_lock import LOCK
from polydx.validation.weights import read_weights, write_weights

ALSO = ("scenarios", "modality_weights")
WARNINGS = "warnings.csv"
TABLES = ("predictions.parquet", *(f"{name}.parquet" for name in ALSO), "splits.csv", "history.csv", WARNINGS)
FINISHED = ("metrics.json", *TABLES, "report.html")
"""Files of a finished run; a folder in which a new run has started holds none of them."""

EXTERNAL = "external"
"""What stands for the split where a finished model was evaluated."""

WARNED = "warnings of the model"
"""Subgroup of patients there: those of whom any answer carries a warning, and the others."""

REMEDY = "run the study again into another folder"


class _StudyFile(BaseModel):
    """What a report needs of study.json."""

    name: str
    samples: int
    patients: int
    modalities: dict[str, dict[str, Any]]
    tasks: dict[str, dict[str, Any]]
    task_definitions: dict[str, Task] = Field(min_length=1)


class _RecipeFigures(BaseModel):
    """A recipe in metrics.json: task -> level -> figures."""

    tasks: dict[str, dict[str, Any]]


class _MetricsFile(BaseModel):
    """What a report needs of metrics.json."""

    study: str
    simulated: bool
    split: str
    recipes: dict[str, _RecipeFigures] = Field(min_length=1)
    comparisons: list[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """A finished run, read back.

    Attributes:
        folder: where it lies.
        config: resolved configuration.
        study: `Study.describe()`, tasks, participants and class means, as `describe_for_report` wrote them.
        tasks: name -> task.
        predictions: the predictions table.
        metrics: content of metrics.json.
        checks: findings of the checks.
        environment: versions and machine.
        history: learning curves; empty without networks.
        splits: sample, patient, seed, fold, role.
        scenarios: predictions for samples that modalities were taken from, with `scenario`; empty if there are none.
        modality_weights: how networks weighed modalities, sample by sample; empty if there are none.
    """

    folder: Path
    config: Config
    study: dict[str, Any]
    tasks: dict[str, Task]
    predictions: pd.DataFrame
    metrics: dict[str, Any]
    checks: list[dict[str, Any]]
    environment: dict[str, Any]
    history: pd.DataFrame
    splits: pd.DataFrame
    scenarios: pd.DataFrame = field(default_factory=pd.DataFrame)
    modality_weights: pd.DataFrame = field(default_factory=pd.DataFrame)


def start_run(folder: Path, config: Config, study: Study, checks: Sequence[Mapping[str, Any]]) -> None:
    """Write what is known before the first fit; results of an earlier run with other settings go."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FINISHED:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "explain", ignore_errors=True)  # they may be of other fits
    for left in folder.rglob(".*.tmp"):  # of a run that was killed while it wrote
        left.unlink(missing_ok=True)
    write_text(folder / "config.yaml", to_yaml(config))
    write_json(folder / "environment.json", environment())
    write_json(folder / "study.json", describe_for_report(study))
    write_json(folder / "checks.json", list(checks))


def finish_run(
    folder: Path,
    predictions: pd.DataFrame,
    splits: pd.DataFrame,
    history: pd.DataFrame,
    metrics: Mapping[str, Any],
    *,
    scenarios: pd.DataFrame | None = None,
    modality_weights: pd.DataFrame | None = None,
    warnings: pd.DataFrame | None = None,
) -> None:
    """Write what the fits gave, metrics.json last; files of folds that are no part of this run go."""
    for kept in ("folds", "weights", "logs", *ALSO):
        _remove_strangers(folder / kept, predictions)
    write_predictions(predictions, folder / "predictions.parquet")
    if scenarios is not None and len(scenarios):
        write_predictions(scenarios, folder / "scenarios.parquet")
    if modality_weights is not None and len(modality_weights):
        write_weights(modality_weights, folder / "modality_weights.parquet")
    tables = {"splits.csv": splits, "history.csv": history, **({} if warnings is None else {WARNINGS: warnings})}
    for name, frame in tables.items():
        with replacing(folder / name) as temporary:
            frame.to_csv(temporary, index=False)
    write_json(folder / "metrics.json", metrics)


def check_folder(folder: Path, study: Study) -> None:
    """Refuse a folder that holds something else than a run of this study, before anything is written to it.

    Raises:
        ConfigError: a run of another study, or files that are no run.
    """
    if not folder.is_dir() or not any(path.name != LOCK for path in folder.iterdir()):
        return
    if not (folder / "study.json").is_file():
        raise ConfigError(f"--out {folder} holds files that are no run: choose an empty or a new folder")
    name = _json(folder / "study.json", dict[str, Any]).get("name")
    if name != study.name:
        raise ConfigError(f"--out {folder} holds a run of study '{name}', not of '{study.name}': choose another folder")


def _remove_strangers(folder: Path, predictions: pd.DataFrame) -> None:
    """Remove the files of a recipe's folds that this run, with other folds or seeds, does not have."""
    fits = predictions[["recipe", "seed", "fold"]].drop_duplicates()
    stems = {(r, f"seed-{s}_fold-{f:03d}") for r, s, f in zip(fits["recipe"], fits["seed"], fits["fold"], strict=True)}
    for recipe in fits["recipe"].unique():
        for path in (folder / recipe).glob("seed-*_fold-*"):
            if (recipe, path.name.split(".")[0]) not in stems:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_run(folder: Path) -> Run:
    """Return a finished run.

    Raises:
        ReadError: the folder holds no finished run, or a file of it is broken; the message says what is missing.
    """
    needed = ["config.yaml", "study.json", "predictions.parquet", "metrics.json", "checks.json", "environment.json"]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        what = "no run" if len(missing) == len(needed) else "an unfinished run"
        raise ReadError(
            f"{folder} holds {what} ({missing[0]} is missing): "
            f"`polydx run STUDY.yaml --out {folder}` makes or finishes one"
        )
    study = _json(folder / "study.json", _StudyFile)
    definitions = TypeAdapter(dict[str, Task]).validate_python(study["task_definitions"])
    return Run(
        folder=folder,
        config=read_config(folder / "config.yaml"),
        study=study,
        tasks=check_tasks(definitions, folder / "study.json", ReadError, REMEDY),
        predictions=read_predictions(folder / "predictions.parquet"),
        metrics=_json(folder / "metrics.json", _MetricsFile),
        checks=_json(folder / "checks.json", list[dict[str, Any]]),
        environment=_json(folder / "environment.json", dict[str, Any]),
        history=_csv(folder / "history.csv"),
        splits=_csv(folder / "splits.csv"),
        scenarios=_if_there(folder / "scenarios.parquet", read_predictions),
        modality_weights=_if_there(folder / "modality_weights.parquet", read_weights),
    )


def describe_for_report(study: Study) -> dict[str, Any]:
    """Return what a report needs of a study: counts, tasks, participants and class-mean spectra, no measurement."""
    return {
        **study.describe(),
        **describe_participants(study),
        "task_definitions": {name: task.to_dict() for name, task in study.tasks.items()},
        "class_means": {
            name: {task: _class_means(study, name, task) for task in study.tasks}
            for name, modality in study.modalities.items()
            if isinstance(modality, Spectra)
        },
    }


def _class_means(study: Study, modality: str, task: str) -> dict[str, Any]:
    """Mean and standard deviation over patients of their mean spectrum, by class."""
    spectra, index = study.spectra(modality), study.rows[modality]
    owner = index.sample_of_row
    codes, patients = study.label_codes(task)[owner], study.patient_codes[0][owner]
    classes = {}
    for code, label in enumerate(study.tasks[task].classes):
        rows = np.flatnonzero(codes == code)
        if len(rows) == 0:
            continue
        means = pd.DataFrame(spectra.values[index.rows[rows]].astype(np.float64)).groupby(patients[rows]).mean()
        spread = means.std(ddof=1) if len(means) > 1 else means.iloc[0] * 0
        classes[label] = {"patients": len(means), "mean": _short(means.mean()), "sd": _short(spread)}
    return {"axis": _short(spectra.axis), "classes": classes}


def _short(values: Any) -> list[float]:
    return [float(f"{v:.6g}") for v in values]


def _json(path: Path, schema: Any) -> Any:
    """Return the content as it stands in the file, once it has all that `schema` asks for."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReadError(f"{path} is not JSON ({error}): {REMEDY}") from None
    check_stored(found, schema, path, ReadError, REMEDY)
    return found


def _if_there(path: Path, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    return read(path) if path.is_file() else pd.DataFrame()


def _csv(path: Path) -> pd.DataFrame:
    if not path.is_file() or path.stat().st_size < 3:
        return pd.DataFrame()
    return pd.read_csv(path)
