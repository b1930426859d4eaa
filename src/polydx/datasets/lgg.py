"""Brain MRI of 110 patients with lower-grade glioma (TCGA): three sequences, a clinical table, molecular clusters.

`manifest.csv` has a row a patient: codes of classes and columns, and the three registered pictures of one slice (before
contrast, FLAIR, after contrast). Where a sequence was not taken, the source puts a copy of FLAIR in its place and flags
it; here the sequence is missing. The slice is the one with most tumour, chosen with the tumour's outline, which no one
has before a patient is read: figures are those of a reader who points at the tumour. The area of the outline itself
stays out. What the codes of the columns stand for, other than the classes, the source does not say: they stay codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from polydx.errors import Problem, ReadError, counted
from polydx.io.tables import read_table
from polydx.study import UNLABELLED, Images, Modality, RowIndex, Study, Table, Task

NAME = "lgg"
FILE, SLICES = "manifest.csv", "slices.csv"

Slices: TypeAlias = Literal["key", "all"]

SEQUENCES = ("pre", "flair", "post")
ANSWERS: dict[str, tuple[str, dict[int, str]]] = {
    "grade": ("neoplasm_histologic_grade", {1: "G2", 2: "G3"}),
    "histology": ("histological_type", {1: "astrocytoma", 2: "oligoastrocytoma", 3: "oligodendroglioma"}),
    "vital": ("death01", {0: "alive", 1: "dead"}),
}
POSITIVE = {"grade": "G3", "vital": "dead"}
AGE = "age_at_initial_pathologic"
CODED = {
    "gender": "gender", "race": "race", "ethnicity": "ethnicity",
    "laterality": "laterality", "location": "tumor_location",
}  # fmt: skip
OMICS = tuple(f"{c}Cluster" for c in ("RNASeq", "Methylation", "miRNA", "CN", "RPPA", "Oncosign", "COC"))
FILES, FLAGS = tuple(f"image_{s}" for s in SEQUENCES), {s: f"{s}_is_flair_copy" for s in ("pre", "post")}
REQUIRED = ("Patient", AGE, *CODED.values(), *(c for c, _ in ANSWERS.values()), *OMICS, *FILES, *FLAGS.values())


def load_lgg(folder: Path, *, slices: Slices = "key", omics: bool = False) -> Study:
    """Return the study from the folder that holds manifest.csv and the pictures; one sample a patient.

    Args:
        folder: where they lie.
        slices: `key` gives `pre`, `flair` and `post`, one picture each of the slice with most tumour; `all` gives
            `mr`, all slices with tumour, whose channels red, green and blue are pre, FLAIR and post.
        omics: add the molecular clusters, measured on the tumour once it was out, as the modality `omics`.

    Raises:
        ReadError: a table is missing, no table, or lacks a column; or cells that are none of the source's.
        StudyError: pictures that are not there.
    """
    about = _checked(read_table(folder / FILE, text=["Patient", *FILES]), folder / FILE)
    index = pd.Index(about["Patient"].astype(object), name="sample", dtype=object)
    samples = pd.DataFrame({"patient": [f"{NAME}/{p}" for p in index]}, index, dtype=object)
    samples["centre"] = pd.Series([str(p).split("_")[1] for p in index], index, dtype=object)
    pictures = _key_slices(folder, about) if slices == "key" else _all_slices(folder, about)
    tables = {"clinical": _table(_clinical(about))}
    if omics:
        tables["omics"] = _table(pd.DataFrame({name.removesuffix("Cluster"): _codes(about[name]) for name in OMICS}))
    modalities: dict[str, Modality] = {}
    rows: dict[str, RowIndex] = {}
    for name, (modality, owned) in {**pictures, **tables}.items():
        modalities[name], rows[name] = modality, owned
    return Study(
        name=NAME,
        samples=samples,
        modalities=modalities,
        rows=rows,
        tasks={n: Task(tuple(c.values()), positive=POSITIVE.get(n)) for n, (_, c) in ANSWERS.items()},
        labels=pd.DataFrame({n: _labels(about[c], classes) for n, (c, classes) in ANSWERS.items()}).set_axis(index),
        notes=_notes(about, slices),
    )


def _key_slices(folder: Path, about: pd.DataFrame) -> dict[str, tuple[Modality, RowIndex]]:
    found: dict[str, tuple[Modality, RowIndex]] = {}
    for name in SEQUENCES:
        there = ~_copied(about, name)
        paths = tuple(folder / str(path) for path in about.loc[there, f"image_{name}"])
        found[name] = Images(paths), _index(there)
    return found


def _all_slices(folder: Path, about: pd.DataFrame) -> dict[str, tuple[Modality, RowIndex]]:
    """Return every slice with tumour as a row of its patient, in order of the slices."""
    listed = read_table(folder / SLICES, text=["patient", "file"])
    lacking = [c for c in ("patient", "slice", "file", "tumor_px") if c not in listed]
    if lacking:
        raise ReadError(f"{folder / SLICES} has no column '{lacking[0]}'; found {', '.join(map(str, listed.columns))}")
    listed = listed[listed["tumor_px"] > 0].sort_values(["patient", "slice"]).reset_index(drop=True)
    owned = {str(patient): list(map(int, rows)) for patient, rows in listed.groupby("patient").indices.items()}
    paths = tuple(folder / "slices" / f"{Path(str(file)).stem}.jpg" for file in listed["file"])
    return {"mr": (Images(paths), RowIndex.from_lists([owned.get(str(p), []) for p in about["Patient"]]))}


def _clinical(about: pd.DataFrame) -> pd.DataFrame:
    age = pd.to_numeric(about[AGE], errors="coerce").astype("float64")
    return pd.DataFrame({"age": age, **{name: _codes(about[column]) for name, column in CODED.items()}})


def _codes(column: pd.Series) -> pd.Series:
    """Return whole numbers as text, None where empty."""
    return pd.Series([None if pd.isna(v) else f"{v:g}" for v in column], dtype=object)


def _table(frame: pd.DataFrame) -> tuple[Modality, RowIndex]:
    """Return the rows that hold a value: a row of gaps is no row."""
    there = frame.notna().any(axis=1)
    return Table(frame[there].reset_index(drop=True)), _index(there)


def _index(there: pd.Series) -> RowIndex:
    position = np.cumsum(there) - 1
    return RowIndex.from_lists([[int(p)] if has else [] for p, has in zip(position, there, strict=True)])


def _copied(about: pd.DataFrame, sequence: str) -> pd.Series:
    flag = FLAGS.get(sequence)
    return pd.Series(False, about.index) if flag is None else about[flag] == 1


def _labels(column: pd.Series, classes: Mapping[int, str]) -> np.ndarray:
    return np.array([UNLABELLED if pd.isna(v) else list(classes).index(int(v)) for v in column], dtype=np.int64)


def _notes(about: pd.DataFrame, slices: Slices) -> tuple[str, ...]:
    pre, post = (counted(int(_copied(about, name).sum()), "patient") for name in FLAGS)
    if slices == "all":
        copies = (
            f"a copy of FLAIR stands in the channel of 'post' in {post} and of 'pre' in {pre}; it cannot be taken away"
        )
        chosen = "the slices were chosen by the tumour's outline, drawn by hand: a reader without it has none of them"
    else:
        copies = f"'post' is missing in {post} and 'pre' in {pre}, where the source has a copy of FLAIR"
        chosen = "the slice was chosen by the tumour's outline, drawn by hand: a reader without it has another one"
    return copies, chosen


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    lacking = [name for name in REQUIRED if name not in table]
    if lacking:
        raise ReadError(f"{path} has no column '{lacking[0]}'; found {', '.join(map(str, table.columns))}")
    found = [
        Problem(f"{FILE} row {row + 2}", f"{name} is empty")
        for name in ("Patient", *FILES)
        for row in np.flatnonzero(table[name].isna())
    ]
    numbers = {AGE: None, **dict.fromkeys((*CODED.values(), *OMICS)), **dict(ANSWERS.values())}
    for name, classes in numbers.items():
        expected = "a number" if classes is None else ", ".join(map(str, classes))
        found += [
            Problem(f"{FILE} row {row + 2}", f"{name} is '{value}'; expected {expected}")
            for row, value in enumerate(table[name])
            if pd.notna(value) and (isinstance(value, str) or (classes is not None and value not in classes))
        ]
    if found:
        raise ReadError(f"{counted(len(found), 'problem')} in {path}", found)
    return table
