"""Breast ultrasound of 256 patients, one image each, with clinical columns: benign 154, malignant 98, normal 4.

`manifest.csv` has a row a case: the columns of the source's sheet, and `image`, a path. The four normal cases show no
lesion and have no answer to "benign or malignant"; they are left out. "not available" and "not applicable" are missing
values. Cells of several values ("palpable&redness") become a column a value, yes or no. What the radiologist concluded
(BIRADS, Interpretation) and what was found later (Verification, Diagnosis) give the answer away: these columns are left
out unless `leaking` asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from polydx.errors import Problem, ReadError, counted
from polydx.io.tables import read_table
from polydx.study import Images, RowIndex, Study, Table, Task

NAME = "breast-us"
FILE = "manifest.csv"

Leaking: TypeAlias = Literal["BIRADS", "Interpretation", "Verification", "Diagnosis"]

CLASSES = ("benign", "malignant")
NORMAL = "normal"
UNKNOWN = ("not available", "not applicable", "")
SINGLE = ("Shape", "Echogenicity", "Posterior_features", "Halo", "Calcifications", "Skin_thickening")
SEVERAL = ("Tissue_composition", "Signs", "Symptoms", "Margin")
NONE = "no"
MARGIN = "not circumscribed - "
REQUIRED = ("CaseID", "image", "Age", "Pixel_size", "Classification", *SINGLE, *SEVERAL)


def load_breast_us(folder: Path, *, leaking: Sequence[Leaking] = ()) -> Study:
    """Return the study from the folder that holds manifest.csv and images.

    Args:
        folder: where they lie.
        leaking: columns that give the answer away, to be put into the table nevertheless.

    Raises:
        ReadError: the manifest is missing, no table, or lacks a column; or cells that are none of the source's.
        StudyError: images that are not there.
    """
    whole = _checked(read_table(folder / FILE, text=["CaseID", "image", *SEVERAL, *SINGLE]), folder / FILE, leaking)
    normal = whole["Classification"] == NORMAL
    about = whole[~normal].reset_index(drop=True)
    index = pd.Index([f"case-{case}" for case in about["CaseID"]], name="sample", dtype=object)
    patients = [f"{NAME}/{case}" for case in about["CaseID"]]
    samples = pd.DataFrame({"patient": patients, "pixel_size": about["Pixel_size"].to_numpy(dtype=np.float64)}, index)
    samples["patient"] = samples["patient"].astype(object)
    one_each = RowIndex.one_each(len(about))
    left_out = f"{counted(int(normal.sum()), 'case')} without a lesion (normal) left out: no answer to the task"
    return Study(
        name=NAME,
        samples=samples,
        modalities={
            "ultrasound": Images(tuple(folder / str(path) for path in about["image"])),
            "clinical": Table(clinical_table(about, leaking)),
        },
        rows={"ultrasound": one_each, "clinical": one_each},
        tasks={"malignancy": Task(CLASSES, positive="malignant")},
        labels=pd.DataFrame({"malignancy": [CLASSES.index(c) for c in about["Classification"]]}, index, dtype="int64"),
        notes=(left_out,) if normal.any() else (),
    )


def clinical_table(about: pd.DataFrame, leaking: Sequence[str] = ()) -> pd.DataFrame:
    """Return the typed columns of the manifest's rows: Age in years, and categories with None where unknown.

    Args:
        about: rows of the manifest.
        leaking: further columns, each as a category of its whole text.
    """
    columns: dict[str, pd.Series] = {"Age": pd.to_numeric(about["Age"].map(_known), errors="coerce").astype("float64")}
    for name in (*SINGLE, *leaking):
        columns[name] = about[name].map(_known).astype(object)
    for name in SEVERAL:
        columns |= _split(name, about[name])
    return pd.DataFrame(columns)


def _split(name: str, cells: pd.Series) -> dict[str, pd.Series]:
    """Return a column of yes and no for each value that a cell of several may hold; None where the cell is unknown."""
    found = [None if (text := _known(cell)) is None else _values(text) for cell in cells]
    values = sorted(set().union(*(f for f in found if f is not None)))
    return {
        f"{name}: {value}": pd.Series(
            [None if f is None else ("yes" if value in f else "no") for f in found], dtype=object
        )
        for value in values
    }


def _values(text: str) -> set[str]:
    """Return the values of a cell: 'not circumscribed - angular&indistinct' has two, 'no' has none."""
    return {value.strip() for value in text.removeprefix(MARGIN).split("&")} - {NONE}


def _known(cell: object) -> str | None:
    text = "" if pd.isna(cell) else str(cell).strip()  # type: ignore[call-overload]
    return None if text.lower() in UNKNOWN else text


def _checked(table: pd.DataFrame, path: Path, leaking: Sequence[str]) -> pd.DataFrame:
    missing = [name for name in (*REQUIRED, *leaking) if name not in table]
    if missing:
        raise ReadError(f"{path} has no column '{missing[0]}'; found {', '.join(map(str, table.columns))}")
    found = [
        Problem(f"{FILE} row {row + 2}", f"{name} is empty")
        for name in ("CaseID", "image", "Classification")
        for row in np.flatnonzero(table[name].isna())
    ]
    known = (*CLASSES, NORMAL)
    found += [
        Problem(f"{FILE} row {row + 2}", f"Classification is '{value}'; expected {', '.join(known)}")
        for row, value in enumerate(table["Classification"])
        if pd.notna(value) and value not in known
    ]
    found += [
        Problem(f"{FILE} row {row + 2}", f"Age is '{age}'; expected a number of years, or 'not available'")
        for row, age in enumerate(table["Age"])
        if (text := _known(age)) is not None and not text.replace(".", "", 1).isdigit()
    ]
    if found:
        raise ReadError(f"{counted(len(found), 'problem')} in {path}", found)
    return table
