"""A user's own study: a samples table that names files, modalities and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.config import StudyConfig, TaskConfig
from polydx.datasets.grouping import regroup
from polydx.datasets.own_copies import without_copies
from polydx.datasets.own_modalities import read_modality
from polydx.datasets.own_reading import Reading, label_text, open_reading, same_number, totals_rows, unknown_labels
from polydx.datasets.propose_files import natural
from polydx.errors import Problem, StudyError, counted
from polydx.study import UNLABELLED, Modality, RowIndex, Study, Task

Members = Sequence[Sequence[int]]


def load_own(config: StudyConfig, base: Path) -> Study:
    """Return the study of a `study:` section with `samples:`, samples in the order of their ids.

    So the order of the rows in the user's table decides nothing, such as which samples a network sees together.

    Args:
        config: the section.
        base: folder of the YAML; relative paths start there. Paths inside the table start at the table's folder.

    Raises:
        ReadError: the samples table cannot be read.
        StudyError: listing every row, column and file that is wrong.
    """
    reading = open_reading(config, base)
    samples, members = _samples(reading)
    labels = _labels(reading, samples, members)
    modalities: dict[str, Modality] = {}
    rows: dict[str, RowIndex] = {}
    for name, wanted in config.modalities.items():
        found = read_modality(reading, name, wanted, samples, members)
        if found is not None:
            modalities[name], rows[name] = found
    spread = [n for n, m in config.modalities.items() if getattr(m, "rows", "pooled") == "samples"]
    if spread and (len(spread) > 1 or config.unit == "patient"):
        reading.problems.append(
            Problem(f"modality '{spread[-1]}'", "`rows: samples` is for one modality and `unit: sample`")
        )
    if reading.problems:
        raise StudyError(f"{counted(len(reading.problems), 'problem')} in study '{reading.name}'", reading.problems)
    study = Study(
        name=reading.name,
        samples=samples,
        modalities=modalities,
        rows=rows,
        tasks={name: _task(task) for name, task in config.tasks.items()},
        labels=labels,
        unit=config.unit,
        notes=tuple(reading.notes),
    )
    study = _in_order(study)
    for name, wanted in config.modalities.items():
        if (original := getattr(wanted, "copy_of", None)) is not None:
            study = without_copies(study, name, original)
    study = one_sample_a_row(study, spread[0]) if spread else study
    return regroup(study, config.group) if config.group is not None else study


def _in_order(study: Study) -> Study:
    """Return the study with its samples in the order of their ids, without a copy where they are."""
    order = sorted(range(len(study)), key=lambda i: natural(str(study.ids[i])))
    return study if order == list(range(len(study))) else study.take(np.array(order, dtype=np.int64))


def one_sample_a_row(study: Study, modality: str) -> Study:
    """Return the study with each row of a modality as a sample of its own: 'P1' with 25 spectra is 'P1/01' to 'P1/25'.

    Labels, columns and rows of other modalities go to all samples that one sample becomes; a sample without a row in
    the modality stays as it is.
    """
    counts = study.rows[modality].counts
    origin: list[int] = np.repeat(np.arange(len(study)), np.maximum(counts, 1)).tolist()
    nth: list[int] = [n for count in counts for n in range(max(int(count), 1))]
    digits = max(2, len(str(counts.max())))
    ids = [
        study.ids[i] if counts[i] <= 1 else f"{study.ids[i]}/{n + 1:0{digits}d}"
        for i, n in zip(origin, nth, strict=True)
    ]
    index = pd.Index(ids, name="sample", dtype=object)
    rows = {name: RowIndex.from_lists([found[i] for i in origin]) for name, found in study.rows.items()}
    own = study.rows[modality]
    rows[modality] = RowIndex.from_lists([own[i][n : n + 1] for i, n in zip(origin, nth, strict=True)])
    return replace(
        study,
        samples=study.samples.iloc[origin].set_axis(index, axis=0),
        labels=study.labels.iloc[origin].set_axis(index, axis=0),
        rows=rows,
    )


def _samples(reading: Reading) -> tuple[pd.DataFrame, list[list[int]]]:
    """Return the samples' frame, and for each sample the rows of the table it was made of."""
    config, table = reading.config, reading.table
    names = table[config.patient_column]
    reading.problems += [
        Problem(reading.row(int(i)), f"{config.patient_column} is empty; every sample needs a patient")
        for i in np.flatnonzero(names.isna())
    ]
    _check_alike(reading, config.patient_column)
    _check_case(reading, config.patient_column)
    reading.problems += [*same_number(reading, config.patient_column), *totals_rows(reading)]
    table = table.assign(patient=[f"{reading.name}/{p}" for p in names])
    if config.unit == "patient":
        groups = table.groupby("patient", sort=True).indices
        frame = table.drop_duplicates("patient").set_index("patient", drop=False).sort_index()
        frame = frame.drop(columns=_varying(reading, table))
        members = [list(map(int, groups[patient])) for patient in frame.index]
    else:
        frame = table.set_axis(_sample_ids(reading), axis=0)
        members = [[i] for i in range(len(table))]
    frame = frame.drop(columns=[c for c in _used(reading) if c in frame and c != "patient"])
    frame = frame.assign(patient=frame["patient"].astype(object))
    return frame.set_axis(frame.index.astype(object).rename("sample"), axis=0), members


def _varying(reading: Reading, table: pd.DataFrame) -> list[str]:
    """Return the columns that differ within a patient, and say so: none of their values is the patient's."""
    others = [c for c in table.columns if c != "patient" and c not in _used(reading)]
    counts = table.groupby("patient")[others].nunique(dropna=False).max() if others else pd.Series(dtype=int)
    varying = [str(c) for c in counts.index[counts > 1]]
    if varying:
        reading.notes.append(
            f"columns that differ within a patient, left out of a study of patients: {', '.join(varying)}"
        )
    return varying


def _used(reading: Reading) -> set[str]:
    """Return the columns that are ids, files or labels, and so no property of a sample."""
    config = reading.config
    used = {config.patient_column, config.sample_column} | {task.column for task in config.tasks.values()}
    for modality in config.modalities.values():
        used |= {getattr(modality, "column", None) or "", getattr(modality, "axis_column", None) or ""}
    return used


def _check_alike(reading: Reading, column: str) -> None:
    """Refuse ids that differ by blanks only."""
    ids = reading.table[column].dropna().astype(str)
    for key, group in ids.groupby(ids.str.replace(r"\s+", "", regex=True), sort=False):
        spellings = list(dict.fromkeys(group))
        if len(spellings) > 1:
            told = " and ".join(repr(s) for s in spellings)
            row = int(np.flatnonzero(reading.table[column] == spellings[1])[0])
            reading.problems.append(
                Problem(reading.row(row), f"{column} {told} differ by blanks only; write '{key}' alike everywhere")
            )


def _check_case(reading: Reading, column: str) -> None:
    """Refuse patients that differ by case only: one person could stand on both sides of a split."""
    ids = reading.table[column].dropna().astype(str)
    ids = ids.set_axis(np.flatnonzero(reading.table[column].notna()), axis=0)
    bare = ids.str.replace(r"\s+", "", regex=True)
    first = ids[~bare.duplicated()]  # spellings that differ by blanks only are told elsewhere
    for _, group in first.groupby(bare[first.index].str.casefold(), sort=False):
        if len(group) > 1:
            rows = group.index.to_numpy(dtype=np.int64).tolist()
            told = " and ".join(f"{name!r} (row {i + 2})" for i, name in zip(rows, group, strict=True))
            what = f"{column} {told} differ by case only; write one person alike everywhere, or name two people apart"
            reading.problems.append(Problem(reading.row(rows[1]), what))


def _sample_ids(reading: Reading) -> list[str]:
    """Return unique ids: the column of samples, else the row's file, else the row's number."""
    table, column = reading.table, reading.config.sample_column
    if column in table:
        ids = table[column].astype(str)
        reading.problems += [
            Problem(reading.row(int(i)), f"{column} is empty") for i in np.flatnonzero(table[column].isna())
        ]
        for i in np.flatnonzero(ids.duplicated() & table[column].notna()):
            told = f"{column} '{ids.iloc[i]}' stands twice; ids must be unique"
            reading.problems.append(Problem(reading.row(int(i)), told))
        _check_alike(reading, column)
        return [str(i) for i in ids]
    if column != "sample":  # a name of the user's own choice must be there
        reading.has_column(column, "sample_column")
    columns = [c for m in reading.config.modalities.values() if (c := getattr(m, "column", None)) in table]
    if columns and table[columns[0]].notna().all() and table[columns[0]].is_unique:
        return [str(v) for v in table[columns[0]]]
    return [f"row{i + 2}" for i in range(len(table))]


def _labels(reading: Reading, samples: pd.DataFrame, members: Members) -> pd.DataFrame:
    labels = pd.DataFrame(index=samples.index)
    for name, task in reading.config.tasks.items():
        if not reading.has_column(task.column, f"task '{name}'"):
            continue
        codes = _codes(reading, name, task)
        if task.level == "patient" or reading.config.unit == "patient":
            codes = _shared(reading, name, task, codes)
        labels[name] = np.array([codes[rows[0]] for rows in members], dtype=np.int64)
    return labels


def _codes(reading: Reading, name: str, task: TaskConfig) -> NDArray[np.int64]:
    """Return (rows,) class codes; an unknown class is a problem, an empty cell is no label."""
    codes = np.full(len(reading.table), UNLABELLED)
    unknown: dict[str, list[int]] = {}
    for i, value in enumerate(reading.table[task.column]):
        if pd.isna(value):
            continue
        text = label_text(value, task.classes)
        if text in task.classes:
            codes[i] = task.classes.index(text)
        else:
            unknown.setdefault(text, []).append(i)
    reading.problems += unknown_labels(reading, name, task, unknown)
    return codes


def _shared(reading: Reading, name: str, task: TaskConfig, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give all rows of a patient the label that some of them carry; two different ones are a problem."""
    patients = reading.table[reading.config.patient_column]
    known = pd.Series(codes, index=patients.index).where(codes >= 0)
    for patient, group in known.dropna().groupby(patients):
        found = [int(c) for c in group.unique()]
        if len(found) > 1:
            rows = [int(np.flatnonzero((patients == patient) & (codes == c))[0]) for c in found]
            answers = ", ".join(f"{task.classes[c]} (row {i + 2})" for i, c in zip(rows, found, strict=True))
            remedy = "mend the labels" + (", or set `level: sample`" if reading.config.unit == "sample" else "")
            told = f"has {len(found)} answers to '{name}', which is asked of patients: {answers}; {remedy}"
            reading.problems.append(Problem(f"patient '{patient}'", told))
    filled = known.groupby(patients).transform("first").fillna(UNLABELLED)
    return filled.to_numpy(dtype=np.int64)


def _task(config: TaskConfig) -> Task:
    return Task(tuple(config.classes), config.level, config.parent, config.ordinal, config.positive)
