"""The bacteria-ID spectra of Ho et al. (2019), Nature Communications 10:4927: 30 isolates, and cultures of patients.

Arrays as the authors share them: X_PART.npy (n, 1000), y_PART.npy (n,), wavenumbers.npy (1000,). Spectra are kept as
they come; scaling each to 0-1, which the authors' network expects, is a step of the recipe.

`reference`, `finetune` and `test` hold spectra of 30 isolates grown in the laboratory, and no patient: each spectrum
stands here as a patient of its own, so their figures are about isolates that the model has seen, and their intervals
are too narrow. Their use is pretraining. `2018clinical` and `2019clinical` hold isolates of patients, without ids: the
authors' code takes blocks of 400 (2018) and 100 (2019) rows in a row as one patient each, and so does this reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from polydx.errors import ConfigError, Problem, ReadError, StudyError, counted
from polydx.io.arrays import read_npy
from polydx.io.spectra import read_spectra
from polydx.study import RowIndex, Spectra, Study, Task

NAME = "bacteria-id"

ISOLATES = (
    "C. albicans", "C. glabrata", "K. aerogenes", "E. coli 1", "E. coli 2", "E. faecium", "E. faecalis 1",
    "E. faecalis 2", "E. cloacae", "K. pneumoniae 1", "K. pneumoniae 2", "P. mirabilis", "P. aeruginosa 1",
    "P. aeruginosa 2", "MSSA 1", "MSSA 3", "MRSA 1 (isogenic)", "MRSA 2", "MSSA 2", "S. enterica", "S. epidermidis",
    "S. lugdunensis", "S. marcescens", "S. pneumoniae 2", "S. pneumoniae 1", "S. sanguinis", "Group A Strep.",
    "Group B Strep.", "Group C Strep.", "Group G Strep.",
)  # fmt: skip
"""Names by the code in y_reference.npy, y_finetune.npy and y_test.npy."""

TREATMENTS = (
    "meropenem",
    "ciprofloxacin",
    "piperacillin-tazobactam",
    "vancomycin",
    "ceftriaxone",
    "penicillin",
    "daptomycin",
    "caspofungin",
)
"""Empiric treatments by the code in y_2018clinical.npy and y_2019clinical.npy."""

TREATMENT_OF_ISOLATE = (
    7, 7, 0, 0, 0, 6, 5, 5, 0, 0, 0, 0, 2, 2, 3, 3, 3, 3, 3, 1, 3, 3, 0, 4, 4, 5, 5, 5, 5, 5,
)  # fmt: skip

Part: TypeAlias = Literal["reference", "finetune", "test", "2018clinical", "2019clinical"]
TaskName: TypeAlias = Literal["isolate", "treatment"]
ROWS_A_PATIENT: dict[str, int] = {"2018clinical": 400, "2019clinical": 100}


def load_bacteria_id(
    folder: Path,
    *,
    part: Part = "reference",
    tasks: Annotated[Sequence[TaskName], Field(min_length=1)] | None = None,
) -> Study:
    """Return one part of the data.

    Args:
        folder: where the arrays lie.
        part: which arrays.
        tasks: `isolate` (30 classes) and `treatment` (8 classes); `isolate` if None, and `treatment` for the clinical
            parts, which know nothing else.

    Raises:
        ReadError: an array is missing or broken.
        StudyError: labels that do not fit the spectra, codes out of range, or blocks that are no patients.
        ConfigError: the task `isolate` for a clinical part.
    """
    clinical = part in ROWS_A_PATIENT
    wanted = dict.fromkeys(tasks or (("treatment",) if clinical else ("isolate",)))
    if clinical and "isolate" in wanted:
        raise ConfigError(f"'{NAME}' part '{part}' has no isolates, only treatments: use `tasks: [treatment]`")
    values, axis = read_spectra(folder / f"X_{part}.npy", axis=folder / "wavenumbers.npy")
    codes = _codes(folder / f"y_{part}.npy", len(values), len(TREATMENTS if clinical else ISOLATES))
    samples = _samples(part, codes)
    treatment = codes if clinical else np.array(TREATMENT_OF_ISOLATE)[codes]
    columns = {name: codes if name == "isolate" else treatment for name in wanted}
    return Study(
        name=NAME,
        samples=samples,
        modalities={"raman": Spectra(values.astype(np.float32), axis)},
        rows={"raman": RowIndex.one_each(len(values))},
        tasks={name: Task(ISOLATES if name == "isolate" else TREATMENTS) for name in wanted},
        labels=pd.DataFrame(columns, index=samples.index, dtype=np.int64),
        notes=_notes(part),
    )


def _codes(path: Path, rows: int, classes: int) -> NDArray[np.int64]:
    """Return (n,) class codes, which the source stores as floats."""
    if not path.is_file():
        raise ReadError(f"no file {path}: '{NAME}' needs X_PART.npy, y_PART.npy and wavenumbers.npy side by side")
    found = read_npy(path)
    if found.shape != (rows,):
        raise StudyError(f"{path} holds labels of shape {found.shape} for {rows} spectra")
    odd = np.flatnonzero((found != np.round(found)) | (found < 0) | (found >= classes))
    if len(odd):
        problems = [
            Problem(f"{path.name} row {i + 1}", f"label {found[i]:g}; expected 0 to {classes - 1}") for i in odd
        ]
        raise StudyError(f"{counted(len(odd), 'label')} of {path} out of range", problems)
    return found.astype(np.int64)


def _samples(part: Part, codes: NDArray[np.int64]) -> pd.DataFrame:
    ids = [f"{NAME}/{part}/{i + 1:05d}" for i in range(len(codes))]
    patients = ids
    if part in ROWS_A_PATIENT:
        block = np.arange(len(codes)) // ROWS_A_PATIENT[part]
        _check_blocks(part, block, codes)
        patients = [f"{NAME}/{part}/P{i + 1:02d}" for i in block]
    return pd.DataFrame({"sample": ids, "patient": patients}, dtype=object).set_index("sample")


def _check_blocks(part: Part, block: NDArray[np.int64], codes: NDArray[np.int64]) -> None:
    size = ROWS_A_PATIENT[part]
    if len(codes) % size:
        raise StudyError(f"X_{part}.npy has {len(codes)} rows, no multiple of {size}, the rows a patient has there")
    mixed = [i for i in np.unique(block) if len(set(codes[block == i])) > 1]
    if mixed:
        problems = [Problem(f"rows {i * size + 1}-{(i + 1) * size}", "more than one treatment") for i in mixed]
        raise StudyError(
            f"blocks of {size} rows of y_{part}.npy are no patients: is the file sorted otherwise?", problems
        )


def _notes(part: Part) -> tuple[str, ...]:
    if part in ROWS_A_PATIENT:
        return (f"the source names no patients: {ROWS_A_PATIENT[part]} rows in a row count as one, as its authors do",)
    return (
        "no patients behind these spectra: each counts as its own, so splits are by spectrum, every isolate is on both "
        "sides, and figures say nothing about new isolates",
    )
