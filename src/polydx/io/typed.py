"""Text columns to typed columns: numbers where every cell is one, text everywhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from polydx.io.text import doubtful_thousands

INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)  # fits int64
# An exponent needs a sign or a fraction: '12E3' is more often a well or a code than 12000.
DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,14})?\.\d+(?:[eE][+-]?\d+)?|-?(?:0|[1-9]\d{0,14})(?:[eE][+-]\d+)?", re.ASCII)


def typed_frame(columns: Mapping[str, Sequence[str]], comma: bool, text: Sequence[str] = ()) -> pd.DataFrame:
    """Return a frame whose columns are int64, Int64 (whole numbers with gaps), float64 or text.

    Args:
        columns: name -> cells as text; '' is a missing cell.
        comma: a decimal comma is allowed.
        text: columns that stay text whatever they hold.
    """
    typed = {name: _text(cells) if name in text else typed_column(cells, comma) for name, cells in columns.items()}
    return pd.DataFrame(typed)


def typed_column(cells: Sequence[str], comma: bool = False) -> pd.Series:
    """Return one column: numbers if every cell that is not empty is a plain number, else text.

    Plain means no leading zeros ('007' is an id), no plus sign, no more digits than the type holds, no words
    such as NA, which may be ids as well.
    """
    present = [cell for cell in cells if cell]
    if present and all(INTEGER.fullmatch(cell) for cell in present):
        return _integers(cells)
    if comma and any("," in cell for cell in present):
        if any("." in cell for cell in present) or doubtful_thousands(present) is not None:
            return _text(cells)
        pointed = _decimals([cell.replace(",", ".") for cell in cells])
    else:
        pointed = _decimals(cells)
    return _text(cells) if pointed is None else pointed


def _integers(cells: Sequence[str]) -> pd.Series:
    if all(cells):
        return pd.Series([int(cell) for cell in cells], dtype="int64")
    return pd.Series([int(cell) if cell else None for cell in cells], dtype="Int64")


def _decimals(cells: Sequence[str]) -> pd.Series | None:
    if not any(cells) or not all(DECIMAL.fullmatch(cell) for cell in cells if cell):
        return None
    values = np.array([float(cell) if cell else np.nan for cell in cells])
    return None if np.isinf(values).any() else pd.Series(values)


def _text(cells: Sequence[str]) -> pd.Series:
    return pd.Series([cell or None for cell in cells], dtype="str")


def repeated_names(names: Sequence[tuple[int, str]]) -> list[str]:
    """Return what to say of column names that stand more than once.

    Args:
        names: position from 1, and name, of each column.
    """
    places: dict[str, list[str]] = {}
    for position, name in names:
        places.setdefault(name, []).append(str(position))
    return [
        f"column name '{name}' stands {len(where)} times (columns {', '.join(where[:5])}); give each its own"
        for name, where in places.items()
        if len(where) > 1
    ]
