"""An explanation on disk: explanation.json and tables beside it, which the report reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from polydx.errors import ReadError
from polydx.io.atomic import replacing, write_json
from polydx.io.stored import check_stored

SCHEMA = 1
ABOUT = "explanation.json"
TEXTS = dict.fromkeys(("class", "part", "sample", "patient", "source"), str)
"""Columns that stay text, also where it looks like a number."""
REMEDY = "explain it again with `polydx explain`"


class _About(BaseModel):
    """What explanation.json must hold."""

    recipe: str
    method: str
    modality: str | None
    task: str
    simulated: bool
    patients: int
    fits: int
    classes: list[dict[str, Any]]


@dataclass(frozen=True)
class Explanation:
    """What one call of one method found.

    Attributes:
        about: what was explained, how, and what sums it up; the content of explanation.json.
        tables: name of a CSV file, without its ending -> its rows.
        folds: values of every fold and patient, for those who want to go on from there; None if there are none.
        arrays: images and maps over them, by name.
    """

    about: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    folds: pd.DataFrame | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def folder_name(about: Mapping[str, Any]) -> str:
    """Return the name of the folder, below a run's `explain/`, in which an explanation lies."""
    parts = [about["recipe"], about["task"], about["method"], about.get("modality"), about.get("sample")]
    name = "_".join(str(part) for part in parts if part)
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)


def write_explanation(folder: Path, found: Explanation) -> None:
    """Write the tables, then explanation.json: a folder that has one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    for name, table in found.tables.items():
        with replacing(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    if found.folds is not None:
        with replacing(folder / "folds.parquet") as temporary:
            found.folds.to_parquet(temporary, index=False)
    if found.arrays:
        with replacing(folder / "arrays.npz") as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **found.arrays)
    write_json(folder / ABOUT, {"schema": SCHEMA, "tables": list(found.tables), **found.about})


def read_explanation(folder: Path) -> Explanation:
    """Return an explanation, of maps over spectra without the values of its folds.

    Raises:
        ReadError: there is none, or it is broken.
    """
    path = folder / ABOUT
    if not path.is_file():
        raise ReadError(f"{folder} holds no explanation: {ABOUT} is missing; {REMEDY}")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        check_stored(about, _About, path, ReadError, REMEDY)
        tables = {str(name): pd.read_csv(folder / f"{name}.csv", dtype=TEXTS) for name in about["tables"]}
        by_patient = folder / "folds.parquet"
        folds = pd.read_parquet(by_patient) if "shares" in tables and by_patient.is_file() else None
        path = folder / "arrays.npz"
        arrays = dict(np.load(path, allow_pickle=False)) if path.is_file() else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(f"{folder}: the explanation is broken ({error}); {REMEDY}") from None
    return Explanation(about, tables, folds, arrays)


def explanations(run: Path) -> list[Explanation]:
    """Return the explanations that lie in a run folder, in the order of their names."""
    return [read_explanation(path.parent) for path in sorted((run / "explain").glob(f"*/{ABOUT}"))]
