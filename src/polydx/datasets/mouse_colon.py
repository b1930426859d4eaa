"""Raman spectra of mouse colon, 753 of 144 mice, baseline removed, in a table converted from the source's RData.

`spectra.csv`: name, diagnosis, diagnosis_fine, tissue, mouse, location, then 696 points of 400-1790 cm^-1. A mouse has
several places, and 63 mice have more than one diagnosis: the diagnosis belongs to the spectrum. Tissue follows from
the location (B* are biopsies) and goes with the diagnosis (most biopsies are normal), so a model may learn the one for
the other: `tissue` and `location` are columns of the samples, for figures by subgroup, and `tissue="preparation"` keeps
one kind only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import pandas as pd
from pydantic import Field

from polydx.errors import ConfigError, Problem, ReadError, StudyError, counted
from polydx.io.spectra import read_spectra_table
from polydx.study import RowIndex, Spectra, Study, Task

NAME = "mouse-colon"
FILE = "spectra.csv"

DIAGNOSES = {"Normal": "Normal", "Hp": "Hyperplasia", "Adenom": "Adenoma", "Karzinom": "Carcinoma"}
"""The source's German terms, and the classes of the task `diagnosis`, in the order of progression."""

Tissue: TypeAlias = Literal["preparation", "biopsy"]
TaskName: TypeAlias = Literal["diagnosis", "diagnosis_fine", "tissue"]
TISSUES: tuple[Tissue, ...] = ("preparation", "biopsy")
COLUMNS = ("name", "diagnosis", "diagnosis_fine", "tissue", "mouse", "location")


def load_mouse_colon(
    folder: Path,
    *,
    tissue: Tissue | None = None,
    tasks: Annotated[Sequence[TaskName], Field(min_length=1)] = ("diagnosis",),
) -> Study:
    """Return the study from the folder that holds spectra.csv.

    Args:
        folder: where spectra.csv lies.
        tissue: keep this kind of tissue only; both if None.
        tasks: `diagnosis` (4 classes), `diagnosis_fine` (the pathologist's codes, nested in `diagnosis`), `tissue`. All
            are asked of each spectrum.

    Raises:
        ReadError: the file is missing, no such table, or lacks a column.
        StudyError: empty cells, or terms that are none of the source's.
        ConfigError: the task `tissue` within one kind of tissue.
    """
    if tissue is not None and "tissue" in tasks:
        raise ConfigError(f"the task 'tissue' has one class within tissue '{tissue}': leave the task or the filter out")
    table = read_spectra_table(folder / FILE)
    about = _checked(table.columns.astype(str).where(table.columns.notna()), folder / FILE)
    samples = pd.DataFrame(
        {
            "patient": f"{NAME}/" + about["mouse"],
            "tissue": about["tissue"],
            "location": about["location"],
        }
    ).set_index(_unique_ids(about["name"]))
    columns = {name: _coded(about, name) for name in dict.fromkeys(tasks)}
    study = Study(
        name=NAME,
        samples=samples,
        modalities={"raman": Spectra(table.values.astype(np.float32), table.axis)},
        rows={"raman": RowIndex.one_each(len(samples))},
        tasks={name: task for name, (task, _) in columns.items()},
        labels=pd.DataFrame({name: codes for name, (_, codes) in columns.items()}, index=samples.index),
        notes=_notes(about, tissue),
    )
    return study if tissue is None else study.take(np.flatnonzero(about["tissue"] == tissue))


def _checked(about: pd.DataFrame, path: Path) -> pd.DataFrame:
    missing = [name for name in COLUMNS if name not in about]
    if missing:
        raise ReadError(f"{path} has no column '{missing[0]}'; found {', '.join(about.columns)}")
    found = [
        Problem(f"{FILE} row {row + 2}", f"{name} is empty")
        for name in COLUMNS
        for row in np.flatnonzero(about[name].isna())
    ]
    for name, known in (("diagnosis", tuple(DIAGNOSES)), ("tissue", TISSUES)):
        odd = about[name].notna() & ~about[name].isin(known)
        found += [
            Problem(f"{FILE} row {row + 2}", f"{name} is '{about[name].iloc[row]}'; expected one of {', '.join(known)}")
            for row in np.flatnonzero(odd)
        ]
    if found:
        raise StudyError(f"{counted(len(found), 'problem')} in {path}", found)
    return about


def _unique_ids(names: pd.Series) -> pd.Index:
    """Return sample ids; the second row of a name gets '#2', since names repeat and rows are the samples."""
    numbers = names.groupby(names).cumcount() + 1
    ids = [f"{NAME}/{name}" + (f"#{n}" if n > 1 else "") for name, n in zip(names, numbers, strict=True)]
    return pd.Index(ids, name="sample", dtype=object)


def _coded(about: pd.DataFrame, name: str) -> tuple[Task, list[int]]:
    """Return a task and the codes of its rows."""
    if name == "diagnosis":
        classes, order = tuple(DIAGNOSES.values()), list(DIAGNOSES)
    elif name == "tissue":
        classes, order = tuple(TISSUES), list(TISSUES)
    else:
        pairs = about[["diagnosis", "diagnosis_fine"]].drop_duplicates()
        rank = pairs["diagnosis"].map(list(DIAGNOSES).index)
        order = list(pairs.assign(rank=rank).sort_values(["rank", "diagnosis_fine"])["diagnosis_fine"].unique())
        classes = tuple(order)
    return Task(classes, level="sample"), [order.index(value) for value in about[name]]


def _notes(about: pd.DataFrame, tissue: Tissue | None) -> tuple[str, ...]:
    german = ", ".join(f"{theirs} = {ours}" for theirs, ours in DIAGNOSES.items() if theirs != ours)
    notes = [f"diagnoses translated from German: {german}"]
    repeated = int(about["name"].duplicated().sum())
    if repeated:
        notes.append(
            f"{counted(repeated, 'name')} stood before; the row is the sample, and repeats are numbered '#2' ..."
        )
    if tissue is not None:
        kept = about["tissue"] == tissue
        notes.append(f"{int((~kept).sum())} spectra of other tissue than '{tissue}' left out")
    return tuple(notes)
