"""Guesses about the columns of a stranger's table: who is the patient, what is asked, which column names files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pandas as pd

PATIENT_WORDS = (
    "patient", "patients", "subject", "participant", "person", "proband", "donor", "individual", "case", "caseid",
    "patientid", "mouse", "animal", "rat", "user", "pid",
)  # fmt: skip
SAMPLE_WORDS = ("sample", "specimen", "spectrum", "name", "id", "record", "measurement", "code")
LABEL_WORDS = (
    "diagnosis", "diagnose", "label", "labels", "class", "category", "group", "status", "outcome", "disease", "target",
    "condition", "result", "grade", "stage", "subtype", "malignancy", "type", "cohort", "response",
    "classification",
)  # fmt: skip
OTHER_WORDS = (
    "sex", "gender", "age", "date", "time", "centre", "center", "site", "hospital", "batch", "operator", "instrument",
    "location", "tissue", "file", "path", "comment", "note", "fold", "split",
)  # fmt: skip
CONTROL_WORDS = (
    "control", "controls", "ctrl", "healthy", "normal", "benign", "negative", "neg", "no", "none", "hc", "0", "absent",
)  # fmt: skip
MOST_CLASSES = 10


@dataclass(frozen=True)
class TaskGuess:
    """A column that looks like a question.

    Attributes:
        column: its name.
        classes: its values; what looks like a control stands first.
        level: `patient` if no patient has two values, else `sample`.
        hinted: the name of the column says so too.
    """

    column: str
    classes: tuple[str, ...]
    level: str
    hinted: bool

    @property
    def positive(self) -> str | None:
        """The class that is no control, where there are two."""
        return self.classes[1] if len(self.classes) == 2 else None


def words_of(name: str) -> list[str]:
    """Return the words of a column's name, in lower case: 'PatientID' and 'patient_id' are alike."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name))
    return [word for word in re.split(r"[^a-zäöüß0-9]+", spaced.lower()) if word]


def named_like(name: str, words: Sequence[str]) -> bool:
    """Return whether a column's name holds one of the words, whole."""
    found = words_of(name)
    return any(word in words for word in (*found, "".join(found)))


def guess_patient(table: pd.DataFrame, taken: Collection[str] = ()) -> str | None:
    """Return the column that probably tells patients apart, in the order of `PATIENT_WORDS`; None if none does."""
    for word in PATIENT_WORDS:
        for column in table.columns:
            if column not in taken and named_like(column, (word,)) and table[column].notna().any():
                return str(column)
    return None


def guess_sample(table: pd.DataFrame, taken: Collection[str] = ()) -> str | None:
    """Return a column of ids that are unique and never empty."""
    for column in table.columns:
        ids = table[column]
        if column not in taken and named_like(column, SAMPLE_WORDS) and ids.notna().all() and ids.is_unique:
            return str(column)
    return None


def guess_files(table: pd.DataFrame, find: Callable[[str], str | None]) -> tuple[str, dict[int, str]] | None:
    """Return the column most of whose values are files, with row -> path; None if there is no such column.

    Args:
        table: the table.
        find: cell -> path of the file it names, None if it names none. A column of paths goes before one of names.
    """
    best: tuple[str, dict[int, str]] | None = None
    most = (0, 1)
    for column in table.columns:
        cells = table[column].dropna().astype(str)
        found = {int(str(i)): path for i, cell in cells.items() if (path := find(cell)) is not None}
        score = (sum(cells[i] == path for i, path in found.items()), len(found))
        if len(found) > max(len(cells) / 2, 1) and score > most:
            best, most = (str(column), found), score
    return best


def guess_tasks(table: pd.DataFrame, patients: pd.Series | None, taken: Collection[str]) -> list[TaskGuess]:
    """Return the columns that may be questions, the likeliest first.

    A question has 2 to 10 classes, each in at least two rows. Whole numbers count only where the name says label, and
    a column that says the same as an earlier one in other words is left out.

    Args:
        table: a row a sample or patient.
        patients: the patient of each row, None if unknown.
        taken: columns that are something else.
    """
    guesses = []
    for column in table.columns:
        cells = table[column].dropna()
        hinted = named_like(column, LABEL_WORDS) and not named_like(column, OTHER_WORDS)
        if column in taken or named_like(column, OTHER_WORDS) or not 2 <= cells.nunique() <= MOST_CLASSES:
            continue
        text = not pd.api.types.is_numeric_dtype(cells)
        whole = pd.api.types.is_integer_dtype(cells)
        if (text or (whole and hinted)) and cells.value_counts().min() >= 2:
            guesses.append(TaskGuess(str(column), _classes(cells), _level(table[column], patients), hinted))
    rank = {name: i for i, name in enumerate(table.columns)}
    guesses.sort(key=lambda g: (not g.hinted, pd.api.types.is_numeric_dtype(table[g.column]), rank[g.column]))
    return _distinct(table, guesses)


def _classes(cells: pd.Series) -> tuple[str, ...]:
    values = sorted({str(v) for v in cells})
    return tuple(sorted(values, key=lambda v: not named_like(v, CONTROL_WORDS)))


def _level(cells: pd.Series, patients: pd.Series | None) -> str:
    if patients is None:
        return "patient"
    return "patient" if cells.groupby(patients).nunique().max() <= 1 else "sample"


def _distinct(table: pd.DataFrame, guesses: Sequence[TaskGuess]) -> list[TaskGuess]:
    kept: list[TaskGuess] = []
    for guess in guesses:
        pairs = [table[[guess.column, other.column]].dropna().drop_duplicates() for other in kept]
        if not any(len(p) == p.iloc[:, 0].nunique() == p.iloc[:, 1].nunique() for p in pairs):
            kept.append(guess)
    return kept
