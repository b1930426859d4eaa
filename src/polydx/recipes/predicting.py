"""Spectra in files through a trained model: read, bring onto its axis, predict, decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.decision import UNDECIDED, decide
from polydx.errors import BundleError, ConfigError, PolydxError, Problem, ReadError, SpectrumError, counted
from polydx.io.spectra import read_spectra
from polydx.preprocessing.spectra import resample_onto
from polydx.progress import Progress
from polydx.recipes.protocol import Probabilities
from polydx.recipes.store import Model
from polydx.study import UNLABELLED, FloatArray, RowIndex, Spectra, Study, Task, Unit


@dataclass(frozen=True)
class Reading:
    """One file, on the model's axis.

    Attributes:
        path: as it was given.
        values: (n, L) float32.
    """

    path: Path
    values: FloatArray


def predict_files(model: Model, files: Sequence[Path], progress: Progress) -> pd.DataFrame:
    """Return what the model answers for spectra in files.

    Args:
        model: of one modality of spectra.
        files: spectra; a file may hold several.
        progress: told how far it is.

    Returns:
        A model of samples: one row a spectrum, with `file` and `row`. A model of patients: each file is one patient,
        with as many spectra as it holds, and gets one row, with `file` and `spectra`. Then for each task the decision
        (as `polydx.decision.decide` has it, at the model's threshold or 0.5), and the probability of each class.

    Raises:
        ConfigError: the model takes several modalities.
        BundleError: the model does not answer the tasks it names.
        ReadError: a file cannot be read or does not cover the model's axis; all are listed.
        SpectrumError: the preprocessing cannot work on a spectrum; all files with one are listed.
    """
    if len(model.axes) != 1:
        raise ConfigError(f"the model takes {len(model.axes)} modalities; files of one kind cannot serve it")
    ((modality, axis),) = model.axes.items()
    readings = _read_onto(files, axis, progress)
    probabilities = _probabilities(model, modality, readings)
    answers = _origin(readings, model.unit)
    for name, task in model.tasks.items():
        answers[name] = _decisions(probabilities[name], task, model.fitted.thresholds.get(name))
        for code, label in enumerate(task.classes):
            answers[f"{name}: {label}"] = probabilities[name][:, code]
    return answers


def _read_onto(files: Sequence[Path], axis: NDArray[np.float64], progress: Progress) -> list[Reading]:
    """Return the spectra of all files on the model's axis."""
    readings: list[Reading] = []
    problems: list[Problem] = []
    progress.begin("files", len(files))
    for path in files:
        try:
            found, own = read_spectra(path)
            values = found if np.array_equal(own, axis) else resample_onto(found, own, axis)
            readings.append(Reading(path, values.astype(np.float32)))
        except PolydxError as error:
            problems += _problems_of(path, error)
        progress.step(path.name)
    if problems:
        raise ReadError(f"{counted(len(problems), 'problem')} in the files to predict; nothing was predicted", problems)
    if not readings:
        raise ReadError("no files to predict")
    return readings


def _problems_of(path: Path, error: PolydxError) -> list[Problem]:
    return [Problem(str(path), p.what) for p in error.problems] or [Problem(str(path), error.message)]


def _probabilities(model: Model, modality: str, readings: Sequence[Reading]) -> Probabilities:
    """Return {task: (N, K)}; where spectra are refused, find the files they are in."""
    try:
        found = model.fitted.predict_proba(_unlabelled(model, modality, readings))
    except SpectrumError:
        problems = [p for reading in readings for p in _refusals(model, modality, reading)]
        if not problems:
            raise
        many = counted(len(problems), "file")
        raise SpectrumError(f"{many} with spectra that cannot be predicted; nothing was predicted", problems) from None
    for name, task in model.tasks.items():
        shape = found[name].shape if name in found else None
        if shape is None or shape[1] != len(task.classes):
            raise BundleError(f"the model does not answer its task '{name}' with {len(task.classes)} classes")
    return found


def _refusals(model: Model, modality: str, reading: Reading) -> list[Problem]:
    """Return what keeps this file alone from being predicted; rows count from 0 in the file."""
    try:
        model.fitted.predict_proba(_unlabelled(model, modality, [reading]))
    except SpectrumError as error:
        return _problems_of(reading.path, error)
    return []


def _unlabelled(model: Model, modality: str, readings: Sequence[Reading]) -> Study:
    """Return the spectra as a study without labels: a sample a spectrum, or a patient a file."""
    counts = np.array([len(reading.values) for reading in readings], dtype=np.int64)
    values = np.vstack([reading.values for reading in readings])
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    bags = RowIndex(starts, np.arange(len(values), dtype=np.int64))
    rows = bags if model.unit == "patient" else RowIndex.one_each(len(values))
    ids = [f"{model.unit}-{i}" for i in range(len(rows))]
    samples = pd.DataFrame({"patient": ids}, index=pd.Index(ids, name="sample", dtype=object))
    tasks: Mapping[str, Any] = model.tasks
    labels = pd.DataFrame(UNLABELLED, index=samples.index, columns=list(tasks), dtype=np.int64)
    spectra = Spectra(values, model.axes[modality])
    name = str(model.about.get("study", "files"))
    return Study(name, samples, {modality: spectra}, {modality: rows}, tasks, labels, unit=model.unit)


def _origin(readings: Sequence[Reading], unit: Unit) -> pd.DataFrame:
    """Return where each answer comes from."""
    if unit == "patient":
        return pd.DataFrame([(str(r.path), len(r.values)) for r in readings], columns=["file", "spectra"])
    return pd.DataFrame([(str(r.path), i) for r in readings for i in range(len(r.values))], columns=["file", "row"])


def _decisions(probabilities: NDArray[np.float64], task: Task, threshold: float | None) -> list[str]:
    codes = decide(probabilities, task.positive_code, UNDECIDED if threshold is None else threshold)
    return [task.classes[code] for code in codes]
