"""A table of samples: columns named for the modalities hold files, columns of the model's tables hold values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from polydx.bundle.tables import is_empty
from polydx.errors import ReadError
from polydx.recipes.store import Model


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
        raise ReadError(f"the table has none of the columns that the model knows: {', '.join(wanted)}")
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
        return ";".join(str(folder / part.strip()) for part in cell.split(";")) if isinstance(cell, str) else cell

    return frame.assign(**{name: frame[name].map(there) for name in names})


def _cell(cell: Any) -> Any:
    if is_empty(cell):
        return None
    return [Path(part.strip()) for part in cell.split(";") if part.strip()] if isinstance(cell, str) else cell
