"""The run folder: everything a `polydx run` produced, by name."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polydx import __version__
from polydx.config import Config
from polydx.errors import ReadError
from polydx.io.atomic import replacing, write_json, write_text
from polydx.io.config_file import read_config, to_yaml
from polydx.study import Spectra, Study, Task
from polydx.validation.participants import describe_participants
from polydx.validation.predictions import read_predictions, write_predictions

PACKAGES = (
    "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "xgboost-cpu", "torch", "lightning-fabric", "monai",
    "pybaselines",
)  # fmt: skip


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


def start_run(folder: Path, config: Config, study: Study, checks: Sequence[Mapping[str, Any]]) -> None:
    """Write what is known before the first fit."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", to_yaml(config))
    write_json(folder / "environment.json", environment())
    write_json(folder / "study.json", describe_for_report(study))
    write_json(folder / "checks.json", list(checks))


def finish_run(
    folder: Path, predictions: pd.DataFrame, splits: pd.DataFrame, history: pd.DataFrame, metrics: Mapping[str, Any]
) -> None:
    """Write what the fits gave."""
    write_predictions(predictions, folder / "predictions.parquet")
    for name, frame in (("splits.csv", splits), ("history.csv", history)):
        with replacing(folder / name) as temporary:
            frame.to_csv(temporary, index=False)
    write_json(folder / "metrics.json", metrics)


def read_run(folder: Path) -> Run:
    """Return a finished run.

    Raises:
        ReadError: the folder holds no finished run; the message says what is missing.
    """
    needed = ["config.yaml", "study.json", "predictions.parquet", "metrics.json", "checks.json", "environment.json"]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        what = "no run" if len(missing) == len(needed) else "an unfinished run"
        raise ReadError(
            f"{folder} holds {what} ({missing[0]} is missing): "
            f"`polydx run STUDY.yaml --out {folder}` makes or finishes one"
        )
    study = _json(folder / "study.json")
    return Run(
        folder=folder,
        config=read_config(folder / "config.yaml"),
        study=study,
        tasks={name: Task.from_dict(found) for name, found in study["task_definitions"].items()},
        predictions=read_predictions(folder / "predictions.parquet"),
        metrics=_json(folder / "metrics.json"),
        checks=_json(folder / "checks.json"),
        environment=_json(folder / "environment.json"),
        history=_csv(folder / "history.csv"),
        splits=_csv(folder / "splits.csv"),
    )


def environment() -> dict[str, Any]:
    """Return versions and machine, without names of users or hosts."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "polydx": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": versions,
        "byteorder": sys.byteorder,
    }


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


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReadError(f"{path} is not JSON ({error}): run the study again into another folder") from None


def _csv(path: Path) -> pd.DataFrame:
    if not path.is_file() or path.stat().st_size < 3:
        return pd.DataFrame()
    return pd.read_csv(path)
