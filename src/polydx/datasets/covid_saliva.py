"""COVID-19 in saliva: raw Raman spectra of 101 people (30 COV+, 37 COV-, 34 CTRL), in the layout of their source.

One folder a patient: `spectra.csv` (a spectrum a row, no header), `raman_shift.csv` (its axis, one number a line) and
`user_information.csv` (one row: user, category, labels; the last is the category as a number). COV+ were ill, COV- had
recovered and tested negative, CTRL were never infected.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.datasets.quality import clipped_share
from polydx.errors import PolydxError, Problem, ReadError, StudyError, counted
from polydx.io.spectra import read_spectra
from polydx.io.tables import read_table
from polydx.preprocessing.spectra import common_axis, resample_onto
from polydx.study import RowIndex, Spectra, Study, Task

NAME = "covid-saliva"
CLASSES = ("CTRL", "COV-", "COV+")
FILES = ("spectra.csv", "raman_shift.csv", "user_information.csv")


@dataclass(frozen=True)
class _Patient:
    """One folder, read: values (n, L) on the axis (L,) the instrument had that day."""

    name: str
    category: str
    values: NDArray[np.float64]
    axis: NDArray[np.float64]


def load_covid_saliva(folder: Path, *, drop_saturated: bool = False) -> Study:
    """Return the study from a folder that holds one folder a patient.

    The axes of patients differ by some hundredths of a cm^-1; all spectra are interpolated onto an even axis within
    their overlap, never beyond. Spectra clipped at the detector's limit (see `quality.saturated`) are flagged in
    `quality["saturated"]`, and the share of their points that is clipped stands in the samples' column `clipped`.

    Args:
        folder: the source's folder `covid_dataset`.
        drop_saturated: leave the clipped spectra out.

    Raises:
        ReadError: the folder is not laid out like the source, or files cannot be read; all are listed.
        StudyError: a folder whose name and content disagree, or a category that is unknown.
    """
    patients = _read_patients(folder)
    axis = common_axis([p.axis for p in patients])
    values = np.vstack([resample_onto(p.values, p.axis, axis) for p in patients]).astype(np.float32)
    clipped = np.concatenate([clipped_share(p.values) for p in patients])
    samples = pd.DataFrame(
        {
            "sample": [f"{NAME}/{p.name}/{i + 1:02d}" for p in patients for i in range(len(p.values))],
            "patient": [f"{NAME}/{p.name}" for p in patients for _ in p.values],
            "clipped": clipped,
        }
    ).set_index("sample")
    codes = [CLASSES.index(p.category) for p in patients for _ in p.values]
    study = Study(
        name=NAME,
        samples=samples,
        modalities={"raman": Spectra(values, axis)},
        rows={"raman": RowIndex.one_each(len(values))},
        tasks={"diagnosis": Task(CLASSES)},
        labels=pd.DataFrame({"diagnosis": codes}, index=samples.index, dtype=np.int64),
        notes=_notes(patients, axis, clipped, drop_saturated),
        quality=pd.DataFrame({"saturated": clipped > 0}, index=samples.index),
    )
    return study.take(np.flatnonzero(clipped == 0)) if drop_saturated else study


def _read_patients(folder: Path) -> list[_Patient]:
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not folders:
        raise ReadError(f"no patients in {folder}: expected folders such as COV+_01 with {', '.join(FILES)}")
    found: list[_Patient] = []
    errors: list[tuple[Path, PolydxError]] = []
    for path in folders:
        try:
            found.append(_read_patient(path))
        except PolydxError as error:
            errors.append((path, error))
    if errors:
        problems = [Problem(f"{path.name}/{p.where}", p.what) for path, error in errors for p in error.problems]
        kind = StudyError if all(isinstance(error, StudyError) for _, error in errors) else ReadError
        raise kind(f"{counted(len(problems), 'problem')} in {folder}, as a folder of '{NAME}'", problems)
    return found


def _read_patient(folder: Path) -> _Patient:
    values, axis = read_spectra(folder / FILES[0], axis=folder / FILES[1])
    about = read_table(folder / FILES[2], text=("user", "category"))
    missing = {"user", "category"} - set(about.columns)
    what = None
    if missing:
        what = f"has no column '{min(missing)}'; found {', '.join(about.columns)}"
    elif len(about) != 1 or about["user"].iloc[0] != folder.name:
        what = f"is about {', '.join(map(str, about['user']))}; expected one row, about {folder.name}"
    elif about["category"].iloc[0] not in CLASSES:
        what = f"category is '{about['category'].iloc[0]}'; expected one of {', '.join(CLASSES)}"
    if what is not None:
        raise StudyError(f"{folder / FILES[2]} {what}", [Problem(FILES[2], what)])
    return _Patient(folder.name, str(about["category"].iloc[0]), values, axis)


def _notes(
    patients: list[_Patient], axis: NDArray[np.float64], clipped: NDArray[np.float64], dropped: bool
) -> tuple[str, ...]:
    notes = []
    different = len({p.axis.tobytes() for p in patients})
    if different > 1:
        notes.append(
            f"the instrument's axis differs between patients ({different} axes): spectra were interpolated onto "
            f"{len(axis)} even points from {axis[0]:g} to {axis[-1]:g} cm^-1, within the overlap of all"
        )
    flagged = clipped > 0
    if flagged.any():
        owners = np.repeat([p.name for p in patients], [len(p.values) for p in patients])
        counts = pd.Series(owners[flagged]).value_counts()
        verb = "left out" if dropped else "kept, flagged 'saturated'"
        notes.append(
            f"{int(flagged.sum())} of {len(flagged)} spectra, of {counted(len(counts), 'patient')} "
            f"clipped at the detector's limit, {verb}; most in {counts.index[0]} ({counts.iloc[0]})"
        )
    return tuple(notes)
