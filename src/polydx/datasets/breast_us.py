"""Breast ultrasound of 256 patients, one image each, with clinical columns: benign 154, malignant 98, normal 4.

`manifest.csv` has a row a case: the columns of the source's sheet, and `image`, a path. The four normal cases show no
lesion and have no answer to "benign or malignant"; they are left out. "not available" and "not applicable" are missing
values. Cells of several values ("palpable&redness") become a column a value, yes or no: `COLUMNS` declares the sheet
as a study.yaml would. What the radiologist concluded
(BIRADS, Interpretation) and what was found later (Verification, Diagnosis) give the answer away: these columns are left
out unless `leaking` asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import yaml

from polydx.config import TableConfig
from polydx.datasets.typed_columns import Typed, typed_columns
from polydx.errors import Problem, ReadError, counted
from polydx.io.tables import read_table
from polydx.study import Images, RowIndex, Study, Table, Task

NAME = "breast-us"
FILE = "manifest.csv"

Leaking: TypeAlias = Literal["BIRADS", "Interpretation", "Verification", "Diagnosis"]

CLASSES = ("benign", "malignant")
NORMAL = "normal"
COLUMNS = """
columns:
  Age: {kind: number, unit: years}
  Shape: category
  Echogenicity: category
  Posterior_features: category
  Halo: category
  Calcifications: category
  Skin_thickening: category
  Tissue_composition: {kind: several, separator: "&", none: ["no"]}
  Signs: {kind: several, separator: "&", none: ["no"]}
  Symptoms: {kind: several, separator: "&", none: ["no"]}
  Margin: {kind: several, separator: "&", none: ["no"], without: ["not circumscribed - "]}
missing: [not available, not applicable]
"""
"""The sheet's columns in the words of a study.yaml."""


def load_breast_us(folder: Path, *, leaking: Sequence[Leaking] = ()) -> Study:
    """Return the study from the folder that holds manifest.csv and images.

    Args:
        folder: where they lie.
        leaking: columns that give the answer away, to be put into the table nevertheless.

    Raises:
        ReadError: the manifest is missing, no table, or lacks a column; or cells that are none of the source's.
        StudyError: images that are not there.
    """
    wanted = declared(leaking)
    texts = [name for name, column in wanted.columns.items() if column.kind != "number"]
    whole = read_table(folder / FILE, text=["CaseID", "image", *texts])
    _check_columns(whole, folder / FILE, wanted)
    normal = whole["Classification"] == NORMAL
    about = whole[~normal]
    typed = typed_columns(about, wanted.columns, FILE, wanted.missing)
    _check_cells(whole, folder / FILE, typed)
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
            "clinical": Table(typed.frame, typed.units),
        },
        rows={"ultrasound": one_each, "clinical": one_each},
        tasks={"malignancy": Task(CLASSES, positive="malignant")},
        labels=pd.DataFrame({"malignancy": [CLASSES.index(c) for c in about["Classification"]]}, index, dtype="int64"),
        notes=(left_out,) if normal.any() else (),
    )


def declared(leaking: Sequence[str] = ()) -> TableConfig:
    """Return the declaration of the sheet; columns that give the answer away are categories of their whole text."""
    sheet = yaml.safe_load(COLUMNS)
    columns = {**sheet["columns"], **dict.fromkeys(leaking, "category")}
    sheet["columns"] = dict(sorted(columns.items(), key=lambda item: "separator" in item[1]))  # lists of values last
    return TableConfig.model_validate({"kind": "table", **sheet})


def _check_columns(table: pd.DataFrame, path: Path, wanted: TableConfig) -> None:
    needed = ("CaseID", "image", "Pixel_size", "Classification", *wanted.columns)
    missing = [name for name in needed if name not in table]
    if missing:
        raise ReadError(f"{path} has no column '{missing[0]}'; found {', '.join(map(str, table.columns))}")


def _check_cells(table: pd.DataFrame, path: Path, typed: Typed) -> None:
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
    found += typed.problems
    if found:
        raise ReadError(f"{counted(len(found), 'problem')} in {path}", found)
