"""Guesses about clinical columns of a stranger's table, to be looked at before they are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pandas as pd

from polydx.datasets.propose_columns import named_like
from polydx.datasets.propose_tasks import EMPTY_WORDS, MOST_CLASSES, cleaned

SEPARATORS = ("&", ";", "|")
UNKNOWN_WORDS = (
    *EMPTY_WORDS, "not available", "not applicable", "not known", "missing", "none given", "nan", "null", "n.a.",
    "n.d.", "n.v.", "k.a.", "nd", "keine angabe", "fehlt", "inconnu",
)  # fmt: skip
NO_INPUT = (
    "comment", "note", "fold", "split", "file", "path", "date", "time", "centre", "center", "site", "hospital", "batch",
    "operator", "instrument", "zentrum", "klinik", "datum", "row", "axis", "sample", "specimen", "name", "id",
)  # fmt: skip
"""Words of columns that say how a sample was taken or kept, not what the patient is like."""
SHARE_OF_NUMBERS = 0.9
DECIMAL_COMMA = r"[-+]?\d+(,\d+)?"


def guess_columns(table: pd.DataFrame, taken: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Return column -> its declaration as YAML, and the words of these columns that look like no value.

    A column is of numbers where nine of ten known cells are, unless they look like codes; of several values where its
    cells are more varied than their parts; else a category of at most ten values. Others are left out.

    Args:
        table: a row a sample or patient.
        taken: columns that are ids, files or questions.
    """
    found: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for column in map(str, table.columns):
        if column in taken or named_like(column, NO_INPUT):
            continue
        cells = table[column].dropna().astype(str).str.strip()
        no_value = cells[cells.str.casefold().isin(UNKNOWN_WORDS)]
        known = cells.drop(no_value.index)
        kind = _kind(known)
        if kind is not None:
            found[column] = kind
            unknown.update(no_value)
    return found, [word for word, _ in unknown.most_common() if word]


def _kind(known: pd.Series) -> str | None:
    if known.nunique() < 2:
        return None
    numbers = pd.to_numeric(known, errors="coerce")
    if numbers.notna().mean() >= SHARE_OF_NUMBERS:
        codes = bool((numbers.dropna() % 1 == 0).all()) and numbers.nunique() <= min(MOST_CLASSES, len(numbers) / 2)
        return "category" if codes else "number"
    commas = known.str.fullmatch(DECIMAL_COMMA)
    if commas.mean() >= SHARE_OF_NUMBERS and known[commas].str.contains(",", regex=False).any():
        return '{kind: number, decimal: ","}'
    for separator in SEPARATORS:
        if known.str.contains(separator, regex=False).any():
            parts = known.str.split(separator).explode().str.strip()
            if parts.nunique() < known.nunique() and parts.nunique() <= 2 * MOST_CLASSES:
                return f'{{kind: several, separator: "{separator}"}}'
    values = cleaned(known).value_counts()
    return "category" if len(values) <= MOST_CLASSES and values.iloc[0] > 1 else None
