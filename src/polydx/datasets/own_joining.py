"""Rows of another file to samples, by id, and what is told of those that fit nobody."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from polydx.datasets.own_reading import Reading, column_hint, row_of
from polydx.errors import Problem

MOST_NAMED = 5
ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def key_column(reading: Reading, by: str, frame: pd.DataFrame) -> str | None:
    """Return the column of a file that says whose its rows are; None if there is none."""
    return next((column for column in (reading.key(by), by) if column in frame), None)


def joined(
    reading: Reading, name: str, by: str, frame: pd.DataFrame, file: str, samples: pd.DataFrame
) -> list[list[int]] | None:
    """Return for each sample the rows of a table that carry its id, or its patient's; None is a problem.

    Rows that fit no sample are a note that names them, with ids that they may have been meant for.
    """
    where, key = f"modality '{name}'", key_column(reading, by, frame)
    if key is None:
        what = f"{file} has no column '{reading.key(by)}' to join by; {column_hint(reading.key(by), frame)}"
        reading.problems.append(Problem(where, what))
        return None
    empty = np.flatnonzero(frame[key].isna())
    reading.problems += [Problem(row_of(file, int(i)), f"{key} is empty; it says whose row this is") for i in empty]
    rows: dict[str, list[int]] = {}
    for i, value in enumerate(frame[key]):
        if pd.notna(value):
            rows.setdefault(str(value), []).append(i)
    prefix = f"{reading.name}/"
    wanted = [str(p).removeprefix(prefix) for p in (samples["patient"] if by == "patient" else samples.index)]
    strays = [found for found in rows if found not in set(wanted)]
    alike = _alike(strays, [w for w in dict.fromkeys(wanted) if w not in rows])
    if len(strays) == len(rows):
        what = f"no {by} of {file} (such as '{next(iter(rows), '')}') is in {reading.file.name} (such as '{wanted[0]}')"
        reading.problems.append(Problem(where, what + alike))
        return None
    if strays:
        told = f"'{name}': {len(strays)} of {len(rows)} {by}s of {file} are not in {reading.file.name}"
        reading.notes.append(f"{told}: {_named(strays)}{alike}")
    return [rows.get(key, []) for key in wanted]


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(f"'{i}'" for i in ids[:MOST_NAMED]) + more


def _alike(strays: Sequence[str], lacking: Sequence[str]) -> str:
    """Return a hint at ids that differ from one without a row by case, blanks or leading zeros only."""
    near = {bare_id(i): i for i in lacking}
    pairs = [(i, near[bare_id(i)]) for i in strays if bare_id(i) in near]
    if not pairs:
        return ""
    told = ", ".join(f"'{i}' may be '{other}'" for i, other in pairs[:MOST_NAMED])
    more = f" and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
    return f"; {told}{more}: ids are compared as they stand, with case, blanks and leading zeros"


def bare_id(text: str) -> str:
    """Return an id without what a spreadsheet or a hand may change: 'P 007' and 'p7' are alike."""
    return ZEROS.sub("", re.sub(r"[\s_-]+", "", str(text)).casefold().removesuffix(".0"))
