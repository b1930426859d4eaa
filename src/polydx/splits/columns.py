"""Folds that a column of the samples names: given folds, given train and test, one centre out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import LeakageError, Problem, StudyError, counted
from polydx.params import closest
from polydx.splits.fold import Fold
from polydx.study import Study

Names = NDArray[np.object_]

ROLES = ("train", "test")
MEANT_AS_ROLES = frozenset({*ROLES, "training", "testing", "val", "valid", "validation", "dev", "holdout"})


def predefined_folds(study: Study, column: str) -> list[Fold]:
    """Return the folds that a column of the samples names.

    With `train` and `test` among the values there is one fold of those two sides; any other values are folds, tested
    in turn. Samples with an empty cell (or another value than `train` and `test`) are in no fold.

    Args:
        study: the patients.
        column: of `study.samples`.

    Raises:
        StudyError: there is no such column, or it names no split.
        LeakageError: a patient stands in two folds; all are named.
    """
    names = _names(study, column)
    roles = {name.casefold() for name in _values(names)}
    if not set(ROLES) <= roles:
        if roles & MEANT_AS_ROLES:
            found = ", ".join(f"'{name}'" for name in _values(names))
            raise StudyError(f"column '{column}' holds {found}: for one split write both 'train' and 'test'")
        return _one_fold_each(study, column, names, "folds")
    sides = np.array([None if n is None or n.casefold() not in ROLES else n.casefold() for n in names], dtype=object)
    _check_patients(study, column, sides)
    return [Fold(0, np.flatnonzero(sides == "train"), np.flatnonzero(sides == "test"))]


def leave_one_centre_out(study: Study, column: str = "centre") -> list[Fold]:
    """Return one fold a centre: each is tested by models that saw the other centres alone.

    Samples without a centre are in no fold: they could be of the centre that is tested.

    Args:
        study: the patients.
        column: of `study.samples` that names the centre.

    Raises:
        StudyError: there is no such column, or it names fewer than two centres.
        LeakageError: a patient was measured at two centres; all are named.
    """
    return _one_fold_each(study, column, _names(study, column), "centres")


def _one_fold_each(study: Study, column: str, names: Names, kind: str) -> list[Fold]:
    values = _values(names)
    if len(values) < 2:
        found = ", ".join(f"'{value}'" for value in values) or "empty cells only"
        raise StudyError(f"column '{column}' has to name at least 2 {kind}, found {found}")
    alike = [other for other in values if any(v != other and v.casefold() == other.casefold() for v in values)]
    if alike:
        told = " and ".join(f"'{value}'" for value in alike)
        raise StudyError(f"column '{column}': {told} differ by case only; write what is the same alike")
    _check_patients(study, column, names)
    known = np.array([name is not None for name in names])
    return [
        Fold(i, np.flatnonzero(known & (names != value)), np.flatnonzero(names == value), value)
        for i, value in enumerate(values)
    ]


def _names(study: Study, column: str) -> Names:
    """Return (N,) the column's values as text, None where the cell is empty."""
    columns = [c for c in study.samples.columns if isinstance(c, str) and c != "patient"]
    if column not in columns:
        guess = closest(column, columns)
        hint = f"did you mean '{guess}'?" if guess else f"there are: {', '.join(columns) or '(none)'}"
        raise StudyError(
            f"validation: the samples of '{study.name}' have no column '{column}' to split by; {hint} "
            "(columns that hold ids, files or labels are not kept)"
        )
    return np.array([_text(value) for value in study.samples[column]], dtype=object)


def _text(value: object) -> str | None:
    """Return a cell as text: 1.0 is '1' (a gap in a column of whole numbers makes them floats), blanks are empty."""
    if pd.isna(value):  # type: ignore[call-overload]
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _values(names: Names) -> list[str]:
    """Return the different values: numbers by size, everything else by name."""
    values = sorted({name for name in names if name is not None})
    return sorted(values, key=int) if all(value.isdecimal() for value in values) else values


def _check_patients(study: Study, column: str, names: Names) -> None:
    """Refuse patients that stand under two names."""
    frame = pd.DataFrame({"patient": study.patients.astype(str), "name": names}).dropna().drop_duplicates()
    torn = frame[frame["patient"].duplicated(keep=False)].sort_values(["patient", "name"])
    problems = [
        Problem(f"patient '{patient}'", "stands under " + " and ".join(f"'{name}'" for name in group))
        for patient, group in torn.groupby("patient")["name"]
    ]
    if problems:
        raise LeakageError(
            f"{counted(len(problems), 'patient')} under several values of column '{column}', so that a split by it "
            "would train and test on one person: give each patient one value, or leave the cell empty",
            problems,
        )
