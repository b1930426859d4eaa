"""Propose a samples table from the way files lie in folders: one a patient, or one a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from polydx.datasets.grouping import LAST_NUMBER
from polydx.datasets.propose_columns import LABEL_WORDS, is_vague, named_like
from polydx.datasets.propose_files import (
    IMAGES,
    SPECTRA,
    Found,
    Measurement,
    grouped,
    matching_folders,
    measurements,
    named_after,
    natural,
)
from polydx.datasets.propose_tables import guess_columns
from polydx.datasets.propose_tasks import guess_tasks, judge_columns, labels_of, quoted_few, told_strays
from polydx.datasets.propose_yaml import EDIT, Draft, fewest_patients
from polydx.errors import counted
from polydx.io.spectra import read_spectra

MOST_CLASS_FOLDERS = 10
MOSTLY = 0.8
"""Share of different ids in a column that may name patients, a row each but for mistakes."""


def from_folders(found: Found, draft: Draft) -> pd.DataFrame | None:
    """Propose from a folder a patient, with or without a table of patients, or a folder a class."""
    containers = [
        found.root,
        *sorted({p for f in found.files for p in f.parents if p.parent == found.root}, key=natural),
    ]
    for name, table in found.tables.items():
        for container in containers:
            folders = found.folders(container)
            for column in table.columns:
                matched = matching_folders(table[column].dropna(), folders)
                if len(matched) > 1 and len(matched) >= len(folders) / 2:
                    return _from_patients(found, draft, folders, name, str(column), matched)
    if (named := _named_after_patients(found)) is not None:
        return _from_patients(found, draft, *named, base=found.root)
    folders = next((f for c in containers if len(f := found.folders(c)) > 1), {})
    if not folders:
        where = (
            f"{', '.join(found.tables)} names no files, and no files begin with its ids" if found.tables else "no table"
        )
        what = "and there are no folders of patients or classes; write the samples table by hand"
        draft.notes.append(f"{EDIT}: {where}, {what}")
        draft.columns = tuple(str(column) for table in found.tables.values() for column in table.columns)
        return None
    groups = grouped([folder.name for folder in folders])
    if groups is None and len(folders) <= MOST_CLASS_FOLDERS:
        return _from_class_folders(found, draft, folders)
    return _from_named_folders(found, draft, folders, groups)


def _named_after_patients(found: Found) -> tuple[dict[Path, list[Path]], str, str, dict[str, Path]] | None:
    """Return the files that begin with a patient's id, the table and column of the ids, and what stands for a folder.

    None where fewer than half of the files do, or the table asks nothing.
    """
    files = [
        path for path in found.files if path.name not in found.tables and path.suffix.lower() in (*SPECTRA, *IMAGES)
    ]
    best: tuple[dict[Path, list[Path]], str, str, dict[str, Path]] | None = None
    most = max(len(files) / 2, 2)
    for name, table in found.tables.items():
        for column in table.columns:
            ids = table[column].dropna()
            named = named_after(ids, files) if ids.nunique() >= MOSTLY * len(ids) else {}
            count = sum(map(len, named.values()))
            if len(named) > 1 and count >= most and guess_tasks(table, table[column], (str(column),)):
                matched = {value: found.root / value for value in named}
                best, most = ({matched[v]: paths for v, paths in named.items()}, name, str(column), matched), count + 1
    return best


def _measured(found: Found) -> list[Path]:
    """Return the files that may be measurements, by their names."""
    return [p for p in found.files if p.name not in found.tables and p.suffix.lower() in (*SPECTRA, *IMAGES)]


def _from_patients(
    found: Found,
    draft: Draft,
    folders: dict[Path, list[Path]],
    name: str,
    column: str,
    matched: dict[str, Path],
    base: Path | None = None,
) -> pd.DataFrame | None:
    """One folder a patient, or files named after them from `base` on, and a table with a row a patient."""
    ids = found.tables[name][column].dropna()
    if twice := list(dict.fromkeys(ids[ids.duplicated()].astype(str))):
        what = f"{counted(len(twice), 'patient')} in several rows of {name}, the first of which is taken"
        draft.notes.append(f"{EDIT}: {what}: {quoted_few(twice)}")
    table = found.tables[name].drop_duplicates(column)
    about = {
        matched[str(key)]: row
        for key, row in zip(table[column], table.to_dict("records"), strict=True)
        if str(key) in matched
    }
    rows = []
    for folder, files in measurements(folders, base).items():
        extra = {str(k): v for k, v in about.get(folder, {}).items() if k != column}
        rows += [row | {k: v for k, v in extra.items() if k not in row} for row in _rows(found, folder.name, files)]
    by = "folder" if base is None else "the start of the files' names"
    draft.about = f"written by polydx: a row a file, labels from {name}, patients by {by} (its column '{column}')"
    unknown = [folder.name for folder in folders if folder not in about]
    if unknown:
        what = f"{counted(len(unknown), 'folder')} without a row in {name}"
        draft.notes.append(f"{what}: their labels are empty: {quoted_few(unknown)}")
    missing = [str(key) for key in table[column] if str(key) not in matched]
    if missing:
        what = f"{counted(len(missing), 'row')} of {name} without a {'folder' if base is None else 'file'}, left out"
        draft.notes.append(f"{what}: {quoted_few(missing)}")
    if base is not None:
        named = {path for files in folders.values() for path in files}
        others = [found.relative(path) for path in _measured(found) if path not in named]
        if others:
            what = f"{counted(len(others), 'file')} named after no patient of {name}, left out"
            draft.notes.append(f"{what}: {quoted_few(others)}")
    return _written(found, draft, rows)


def _from_named_folders(
    found: Found, draft: Draft, folders: dict[Path, list[Path]], groups: list[str] | None
) -> pd.DataFrame | None:
    """One folder a patient and no table: the class may be the start of the folder's name."""
    rows = []
    for (folder, files), group in zip(measurements(folders).items(), groups or [""] * len(folders), strict=True):
        rows += [row | ({"group": group} if groups else {}) for row in _rows(found, folder.name, files)]
    draft.about = "written by polydx: a row a file, patients by folder"
    if groups:
        draft.notes.append("guess: the class of a patient is the start of the folder's name (column 'group')")
    return _written(found, draft, rows)


def _from_class_folders(found: Found, draft: Draft, folders: dict[Path, list[Path]]) -> pd.DataFrame | None:
    """One folder a class; patients by the folders in it, or by the start of the files' names."""
    rows = []
    for folder, files in measurements(folders).items():
        paths = [m.path for m in files]
        if all(path.parent != folder for path in paths):
            patients: list[str] | None = [path.relative_to(folder).parts[0] for path in paths]
        else:
            patients = grouped([path.stem for path in paths])
        for i, measurement in enumerate(files):
            (row,) = _rows(found, patients[i] if patients else "", [measurement])
            rows.append(row | {"sample": found.relative(measurement.path), "class": folder.name})
    draft.about = "written by polydx: a row a file, classes by folder"
    unknown = all(row["patient"] == "" for row in rows)
    if unknown and rows and all(row["kind"] == "images" for row in rows):
        return _grouped_images(found, draft, rows)
    if unknown:
        draft.notes.append(f"{EDIT}: nothing says whose file is whose: fill the column 'patient' of {draft.samples}")
    else:
        draft.notes.append("guess: patients by folder, or by the start of the files' names: check the column 'patient'")
    return _written(found, draft, rows)


def _grouped_images(found: Found, draft: Draft, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame | None:
    """Propose groups of images in place of patients that nothing tells apart."""
    numbered = all(LAST_NUMBER.search(Path(row["file"]).stem) for row in rows)
    draft.group = "{by: sequence, size: 20}" if numbered else "{by: duplicates}"
    draft.notes.append(
        f"{EDIT}: nothing says which images are one patient's; `group` is a guess that is better than none: where you "
        f"know the patients, fill a column 'patient' of {draft.samples} and take `group` out"
    )
    table = _written(found, draft, rows)
    draft.told_apart = True
    draft.tasks = [replace(task, level="sample") for task in draft.tasks]
    return None if table is None else table.drop(columns="patient")


def _rows(found: Found, patient: str, files: Sequence[Measurement]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for m in files:
        row = {"sample": f"{patient}/{m.path.stem}" if len(files) > 1 else patient, "patient": patient}
        rows.append(row | {"file": found.relative(m.path), "kind": m.kind, "axis": m.axis and found.relative(m.axis)})
    return rows


def _written(found: Found, draft: Draft, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame | None:
    """Return the samples table of these rows, and name its modality; None without rows."""
    if not rows:
        draft.about = ""
        draft.notes = [f"{EDIT}: no file could be read as a spectrum or is an image; name them in column 'file'"]
        return None
    table = pd.DataFrame(list(rows))
    kinds = set(table.pop("kind"))
    draft.images = kinds == {"images"}
    axis = ", axis_column: axis" if "rows" in kinds else ""
    if "rows" not in kinds:
        table = table.drop(columns="axis")
    kind, name = ("images", "image") if draft.images else ("spectra", "raman")
    many = "" if draft.images or not _several(found, rows) else ", rows: samples"
    comment = "guess: these files hold the measurements" + (", those their axes" if axis else "")
    draft.modality = (name, f"{{kind: {kind}, column: file{axis}{many}}}", comment)
    if table["sample"].duplicated().any():
        table["sample"] = table["file"]
    draft.patient_column, draft.sample_column = "patient", "sample"
    table["patient"] = table["patient"].replace("", None)
    guess_labels(draft, table, ("file", "axis"))
    return table


def _several(found: Found, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the first file holds more than one spectrum."""
    first = rows[0]
    axis = found.root / first["axis"] if first["axis"] else None
    return len(read_spectra(found.root / first["file"], axis=axis)[0]) > 1


def guess_labels(draft: Draft, table: pd.DataFrame, taken: Sequence[str] = ()) -> None:
    """Fill in the tasks, the level of each, and what is missing to know them."""
    patients = table.get(draft.patient_column or "")
    if patients is not None and not patients.notna().any():
        patients = None
    draft.columns = tuple(map(str, table.columns))
    ids = [c for c in (draft.patient_column, draft.sample_column) if c]
    draft.told_apart = patients is not None
    draft.tasks, rejected = judge_columns(table, patients, (*ids, *taken))
    questions = {task.column for task in draft.asked} | {c for c in rejected if named_like(c, LABEL_WORDS)}
    draft.clinical, draft.unknown = guess_columns(table, {*ids, *taken, *questions})
    for task in draft.tasks:
        if task.strays and (task.hinted or task is draft.tasks[0]):
            what = f"column '{task.column}' holds what is no class: {told_strays(task)}"
            draft.notes.append(f"{EDIT}: {what}; mend the cells, empty them, or add a class")
    if rejected:
        told = ", ".join(f"'{column}' ({reason})" for column, reason in rejected.items())
        draft.notes.append(f"columns not taken as a task: {told}")
    if not draft.tasks:
        draft.notes.append(f"{EDIT}: no column with 2 to 10 classes was found; name the task's column and its classes")
    elif patients is not None:
        draft.patients = fewest_patients(labels_of(table, draft.tasks[0]), patients)
        if draft.patients < 2:
            draft.notes.append("a class has a single patient, who cannot be on both sides of a split: leave it out")
    if draft.patient_column is None:
        draft.notes.append(f"{EDIT}: no column of patients was found; without it no figure can be trusted")
    elif patients is not None and is_vague(draft.patient_column) and patients.is_unique:
        told = f"'{draft.patient_column}' differs in every row, so each row counts as a patient of its own"
        draft.notes.append(f"{EDIT}: {told}: if a person has several rows, name the column that says so")
