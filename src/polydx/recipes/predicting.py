"""Spectra or images in files through a trained model: read, bring onto its axis, predict, decide."""

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
from polydx.io.decoded import decoded
from polydx.io.images import Window, count_frames
from polydx.io.spectra import read_spectra
from polydx.preprocessing.spectra import resample_onto
from polydx.progress import Progress
from polydx.recipes.protocol import Probabilities
from polydx.recipes.store import Model
from polydx.study import UNLABELLED, Images, RowIndex, Spectra, Study, Task, Unit


@dataclass(frozen=True)
class Reading:
    """One file.

    Attributes:
        path: as it was given.
        rows: its spectra, on the model's axis, or its images, a frame each.
    """

    path: Path
    rows: Spectra | Images


def predict_files(model: Model, files: Sequence[Path], progress: Progress) -> pd.DataFrame:
    """Return what the model answers for spectra or images in files.

    Args:
        model: of one modality.
        files: what it takes; a file may hold several spectra, or several frames.
        progress: told how far it is.

    Returns:
        A model of samples: one row a spectrum or frame, with `file` and `row`. A model of patients: each file is one
        patient, with as many as it holds, and gets one row, with `file` and `spectra` (or `images`). Then for each task
        the decision (as `polydx.decision.decide` has it, at the model's threshold or 0.5), and the probability of each
        class; of a task under a class of another one, given that class.

    Raises:
        ConfigError: the model takes several modalities.
        BundleError: the model does not answer the tasks it names.
        ReadError: a file cannot be read or does not cover the model's axis; all are listed.
        SpectrumError, ImageError: the preprocessing cannot work on a row; all files with one are listed.
    """
    modalities = [*model.axes, *model.images]
    if len(modalities) != 1:
        raise ConfigError(f"the model takes {len(modalities)} modalities; files of one kind cannot serve it")
    modality = modalities[0]
    readings = _read(model, modality, files, progress)
    probabilities = _probabilities(model, modality, readings)
    answers = _origin(readings, model.unit)
    for name, task in model.tasks.items():
        answers[name] = _decisions(probabilities[name], task, model.fitted.thresholds.get(name))
        for code, label in enumerate(task.classes):
            answers[f"{name}: {label}"] = probabilities[name][:, code]
    return answers


def _read(model: Model, modality: str, files: Sequence[Path], progress: Progress) -> list[Reading]:
    """Return the spectra of all files on the model's axis, or their images."""
    axis = model.axes.get(modality)
    readings: list[Reading] = []
    problems: list[Problem] = []
    progress.begin("files", len(files))
    for path in files:
        try:
            readings.append(
                Reading(path, _images(path, model.images[modality]) if axis is None else _spectra(path, axis))
            )
        except PolydxError as error:
            problems += _problems_of(path, error)
        progress.step(path.name)
    if problems:
        raise ReadError(f"{counted(len(problems), 'problem')} in the files to predict; nothing was predicted", problems)
    if not readings:
        raise ReadError("no files to predict")
    return readings


def _spectra(path: Path, axis: NDArray[np.float64]) -> Spectra:
    found, own = read_spectra(path)
    values = found if np.array_equal(own, axis) else resample_onto(found, own, axis)
    return Spectra(values.astype(np.float32), axis)


def _images(path: Path, window: Window) -> Images:
    """Return the frames of a file, decoded: what cannot be is to be known before anything is predicted."""
    frames = tuple(range(count_frames(path)))
    images = Images((path,) * len(frames), frames, window)
    decoded(images)
    return images


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
    """Return the rows as a study without labels: a sample a row, or a patient a file."""
    counts = np.array([len(reading.rows) for reading in readings], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    bags = RowIndex(starts, np.arange(starts[-1], dtype=np.int64))
    rows = bags if model.unit == "patient" else RowIndex.one_each(int(starts[-1]))
    ids = [f"{model.unit}-{i}" for i in range(len(rows))]
    samples = pd.DataFrame({"patient": ids}, index=pd.Index(ids, name="sample", dtype=object))
    tasks: Mapping[str, Any] = model.tasks
    labels = pd.DataFrame(UNLABELLED, index=samples.index, columns=list(tasks), dtype=np.int64)
    name = str(model.about.get("study", "files"))
    return Study(name, samples, {modality: _joined(readings)}, {modality: rows}, tasks, labels, unit=model.unit)


def _joined(readings: Sequence[Reading]) -> Spectra | Images:
    spectra = [reading.rows for reading in readings if isinstance(reading.rows, Spectra)]
    if spectra:
        return Spectra(np.vstack([rows.values for rows in spectra]), spectra[0].axis)
    images = [reading.rows for reading in readings if isinstance(reading.rows, Images)]
    paths = tuple(path for rows in images for path in rows.paths)
    return Images(paths, tuple(frame for rows in images for frame in rows.frames), images[0].window)


def _origin(readings: Sequence[Reading], unit: Unit) -> pd.DataFrame:
    """Return where each answer comes from."""
    if unit == "patient":
        columns = ["file", readings[0].rows.kind]
        return pd.DataFrame([(str(r.path), len(r.rows)) for r in readings], columns=columns)
    return pd.DataFrame([(str(r.path), i) for r in readings for i in range(len(r.rows))], columns=["file", "row"])


def _decisions(probabilities: NDArray[np.float64], task: Task, threshold: float | None) -> list[str]:
    codes = decide(probabilities, task.positive_code, UNDECIDED if threshold is None else threshold)
    return [task.classes[code] for code in codes]
