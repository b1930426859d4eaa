"""A table of samples: columns named for the modalities hold files, columns of the model's tables hold values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from polydx.bundle.tables import is_empty
from polydx.errors import PolydxError, Problem, ReadError
from polydx.io.tables import first_rows, read_table
from polydx.recipes.store import Model

FILE = "file"
"""What the column of files may be called too, where the model has one modality; `polydx init` calls it so."""


def samples_of(model: Model, frame: pd.DataFrame) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the samples of a table, one a row, and their names.

    Args:
        model: its modalities and their columns say which columns count; others are left alone.
        frame: a cell of a modality holds a file, several separated by ";", or what `predict` takes.

    Raises:
        ReadError: no column that the model knows.
    """
    files = [name for name, about in model.modalities.items() if about.kind != "table" and name in frame]
    columns = {
        name: [c.name for c in about.columns if c.name in frame]
        for name, about in model.modalities.items()
        if about.kind == "table"
    }
    if not files and not any(columns.values()):
        wanted = [*(n for n, a in model.modalities.items() if a.kind != "table")]
        wanted += [c.name for a in model.modalities.values() for c in a.columns]
        raise ReadError(
            f"the table has none of the columns that the model knows: {', '.join(wanted)}; it has "
            f"{', '.join(map(str, frame.columns[:8]))}{' ...' * (len(frame.columns) > 8)}"
        )
    samples = []
    for record in frame.to_dict("records"):
        found: dict[str, Any] = {m: cell for m in files if (cell := _cell(record[m])) is not None}
        for name, known in columns.items():
            found[name] = {c: record[c] for c in known}
        samples.append(found)
    names = frame.get("sample", frame.index)
    return samples, [str(name) for name in names]


def located(model: Model, frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return the table with the files it names where they lie: relative paths start at the table's folder."""
    names = [name for name, about in model.modalities.items() if about.kind != "table" and name in frame]

    def there(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        return ";".join(str(folder / part.strip()) for part in cell.split(";") if part.strip()) or None

    return frame.assign(**{name: frame[name].map(there) for name in names})


def _cell(cell: Any) -> Any:
    if is_empty(cell):
        return None
    return [Path(part.strip()) for part in cell.split(";") if part.strip()] if isinstance(cell, str) else cell


def is_sample_table(model: Model, path: Path) -> bool:
    """Return whether a file is a table that names the measurements of a model of one modality, not one itself."""
    try:
        frame = first_rows(path)
    except PolydxError:
        return False  # whoever reads it as a measurement says why it is none
    names = (*model.modalities, FILE)
    return any(name in frame and not pd.api.types.is_numeric_dtype(frame[name]) for name in names)


def read_samples(model: Model, path: Path) -> pd.DataFrame:
    """Return a table of samples with the files it names where they lie; they start at the table's folder.

    Samples without a name are called by their row, as a spreadsheet counts.

    Raises:
        ReadError: it cannot be read.
    """
    table = read_table(path)
    if len(model.modalities) == 1 and FILE in table:
        (name,) = model.modalities
        table = table if name in table else table.rename(columns={FILE: name})
    if "sample" not in table:
        table.insert(0, "sample", [f"row {i + 2}" for i in range(len(table))])
    return located(model, table, path.parent)


def absent_columns(model: Model, table: pd.DataFrame) -> list[str]:
    """Return the columns that the model knows and a table has not."""
    files = [name for name, about in model.modalities.items() if about.kind != "table"]
    values = [column.name for about in model.modalities.values() for column in about.columns]
    return [name for name in (*files, *values) if name not in table]


def refuse_unowned(table: pd.DataFrame, patients: str) -> None:
    """Refuse rows that do not say whose they are: they would be answered as one patient.

    Raises:
        ReadError: naming them.
    """
    rows = [
        Problem(f"row {i + 2}", f"'{patients}' is empty") for i, cell in enumerate(table[patients]) if is_empty(cell)
    ]
    if rows:
        raise ReadError("samples of nobody; nothing was predicted", rows)


def a_row_a_patient(model: Model, table: pd.DataFrame, patients: str) -> pd.DataFrame:
    """Return a table with one row a patient: all their files, and the values that their rows agree on.

    Args:
        model: says which columns hold files, and which values.
        table: one or more rows a patient; files where they lie.
        patients: the column that says whose each row is.

    Raises:
        ReadError: two rows of a patient hold different values of one column; all are listed.
    """
    files = [name for name, about in model.modalities.items() if about.kind != "table" and name in table]
    values = [c.name for about in model.modalities.values() for c in about.columns if c.name in table]
    rows, problems = [], []
    for patient, own in table.groupby(patients, sort=False):
        row: dict[str, Any] = {"sample": str(patient), patients: patient}
        for name in files:
            cells = [cell for cell in own[name] if not is_empty(cell)]
            row[name] = ";".join(dict.fromkeys(cells)) or None
        for name in values:
            known = list(dict.fromkeys(cell for cell in own[name] if not is_empty(cell)))
            row[name] = known[0] if known else None
            if len(known) > 1:
                problems.append(Problem(str(patient), f"'{name}' is {known[0]!r} in one row, {known[1]!r} in another"))
        rows.append(row)
    if problems:
        raise ReadError("rows of a patient that do not agree; nothing was predicted", problems)
    return pd.DataFrame(rows)
