"""ALS in dried saliva: 393 Raman spectra of 20 patients and 198 of 10 controls, in the layout of their source.

A spreadsheet gives ranges of file numbers a patient ("1 a 60" = files 1 to 60); "SLA" there is ALS.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from polydx.datasets.axes import same_axis, usual_axis
from polydx.errors import AxisError, Problem, ReadError, StudyError, counted
from polydx.io.spectra import read_spectra
from polydx.io.tables import read_table
from polydx.study import RowIndex, Spectra, Study, Task

NAME = "als-saliva"
SHEET = "Spectral Number SLA and CTRL.xlsx"
CLASSES = ("CTRL", "ALS")
RANGE = re.compile(r"(\d+)\s*a\s*(\d+)")


def load_als_saliva(folder: Path) -> Study:
    """Return the study from a folder with ALS/, CTRL/ and the spreadsheet.

    Raises:
        ReadError: the folder is not laid out like the source, or a file cannot be read.
        StudyError: a file belongs to no patient of the spreadsheet.
    """
    owners = _owners(folder / SHEET)
    files = [(group, number, path) for group in ("ALS", "CTRL") for number, path in _numbered(folder / group)]
    strays = [Problem(str(p), "in no patient's range of the spreadsheet") for g, n, p in files if (g, n) not in owners]
    if strays:
        raise StudyError(f"{counted(len(strays), 'file')} of '{NAME}' without a patient", strays)
    samples = pd.DataFrame(
        {
            "sample": [f"{NAME}/{number}_{group}" for group, number, _ in files],
            "patient": [f"{NAME}/{owners[group, number]}" for group, number, _ in files],
        }
    ).set_index("sample")
    labels = pd.DataFrame({"als": [CLASSES.index(g) for g, _, _ in files]}, index=samples.index, dtype=np.int64)
    return Study(
        name=NAME,
        samples=samples,
        modalities={"raman": _read_all([path for _, _, path in files])},
        rows={"raman": RowIndex.one_each(len(files))},
        tasks={"als": Task(CLASSES, positive="ALS")},
        labels=labels,
        notes=_notes(files, owners),
    )


def _owners(sheet: Path) -> dict[tuple[str, int], str]:
    """Return (group, file number) -> patient."""
    table = read_table(sheet)
    missing = {"patient_id", "file_id_range"} - set(table.columns)
    if missing:
        raise ReadError(f"{sheet} has no column '{min(missing)}'; found {', '.join(table.columns)}")
    owners: dict[tuple[str, int], str] = {}
    for patient, text in table[["patient_id", "file_id_range"]].dropna().itertuples(index=False):
        found = RANGE.fullmatch(str(text).strip())
        if found is None:
            raise ReadError(f"{sheet}: patient '{patient}' has range '{text}'; expected e.g. '1 a 60'")
        group = "CTRL" if str(patient).startswith("CTRL") else "ALS"
        for number in range(int(found[1]), int(found[2]) + 1):
            owners[group, number] = str(patient).strip()
    return owners


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the files of a group by number; the number alone counts, since one file is named 59_AD.txt."""
    if not folder.is_dir():
        raise ReadError(f"no folder {folder}: '{NAME}' needs ALS/, CTRL/ and '{SHEET}' side by side")
    files = [(int(path.name.split("_")[0]), path) for path in folder.glob("[0-9]*_*.txt")]
    if not files:
        raise ReadError(f"no spectra in {folder}: expected files such as 1_{folder.name}.txt")
    return sorted(files)


def _read_all(paths: list[Path]) -> Spectra:
    """Read all files; their axes are one, printed with five or six digits."""
    read = [read_spectra(path) for path in paths]
    axis = usual_axis([own for _, own in read])
    odd = [path for path, (_, own) in zip(paths, read, strict=True) if not same_axis(own, axis)]
    if odd:
        raise AxisError(f"{odd[0]} is on another axis than most files of '{NAME}', which share one: fetch it again")
    return Spectra(np.vstack([values for values, _ in read]).astype(np.float32), axis)


def _notes(files: list[tuple[str, int, Path]], owners: dict[tuple[str, int], str]) -> tuple[str, ...]:
    notes = []
    absent = sorted(set(owners) - {(group, number) for group, number, _ in files})
    if absent:
        named = ", ".join(f"{number}_{group} (patient {owners[group, number]})" for group, number in absent)
        notes.append(f"{counted(len(absent), 'spectrum')} named in the spreadsheet not in the folder: {named}")
    odd = [path.name for group, number, path in files if path.stem != f"{number}_{group}"]
    if odd:
        notes.append(f"files named unlike their folder, taken by number: {', '.join(odd)}")
    return tuple(notes)
