"""Who took part: samples, labels and subgroups of each patient, coarse enough for a report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from polydx.study import UNLABELLED, Study

MOST_GROUPS = 12  # a column with more values than that (a date, a file name) tells patients apart and groups nobody
BANDS = 3


def describe_participants(study: Study) -> dict[str, Any]:
    """Return patients with their labels and subgroups, and the subgroups of samples where those differ in a patient.

    Subgroups are the columns of the samples table other than `patient`. Numbers become bands of about equal size:
    a report needs no exact age, and an exact age may identify a person.

    Returns:
        `participants`: one dict a patient with `patient`, `samples`, `labels` (task -> class, null if unknown or not
        the same for all samples) and `groups` (column -> value or null); `sample_groups`: column -> sample -> value.
    """
    columns = subgroup_columns(study)
    codes, names = study.patient_codes
    constant = {name: _one_value_a_patient(values, codes) for name, values in columns.items()}
    labels = {name: _patient_labels(study, name) for name in study.tasks}
    first = np.unique(codes, return_index=True)[1]
    counts = np.bincount(codes)
    people = [
        {
            "patient": str(patient),
            "samples": int(counts[i]),
            "labels": {task: found[i] for task, found in labels.items()},
            "groups": {name: columns[name][first[i]] for name, same in constant.items() if same},
        }
        for i, patient in enumerate(names)
    ]
    ids = [str(i) for i in study.ids]
    varying = {name: dict(zip(ids, columns[name], strict=True)) for name, same in constant.items() if not same}
    return {"participants": people, "sample_groups": varying}


def subgroup_columns(study: Study) -> dict[str, list[str | None]]:
    """Return the columns that group samples: name -> (N,) values as text, None where missing."""
    found = {str(c): _as_groups(study.samples[c]) for c in study.samples.columns if c != "patient"}
    return {name: values for name, values in found.items() if values is not None}


def _as_groups(column: pd.Series) -> list[str | None] | None:
    """Return a column's groups, or None if it makes fewer than two or too many."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and column.nunique() > BANDS:
        column = _banded(column.astype(np.float64))
    if not 2 <= column.nunique() <= MOST_GROUPS:
        return None
    return [None if pd.isna(value) else str(value) for value in column]


def _banded(values: pd.Series) -> pd.Series:
    """Return bands of about equal size; the outer ones are open, so that the extremes, who stand out, are not told."""
    bands = pd.qcut(values, BANDS, labels=False, duplicates="drop")
    ends = values.groupby(bands).agg(["min", "max"]).sort_index()
    names = {i: f"{low:g}–{high:g}" for i, (low, high) in zip(ends.index, ends.to_numpy(), strict=True)}
    if len(names) > 1:
        names[ends.index[0]], names[ends.index[-1]] = f"up to {ends['max'].iloc[0]:g}", f"from {ends['min'].iloc[-1]:g}"
    return bands.map(names).where(values.notna(), None)


def _one_value_a_patient(values: list[str | None], codes: np.ndarray) -> bool:
    return bool((pd.Series(values, dtype=object).groupby(codes).nunique(dropna=False) <= 1).all())


def _patient_labels(study: Study, task: str) -> list[str | None]:
    """Return (P,) the class that all labelled samples of a patient share, else None."""
    labels, (owners, names) = study.label_codes(task), study.patient_codes
    found: list[str | None] = []
    for patient in range(len(names)):
        own = np.unique(labels[(owners == patient) & (labels != UNLABELLED)])
        found.append(study.tasks[task].classes[own[0]] if len(own) == 1 else None)
    return found
