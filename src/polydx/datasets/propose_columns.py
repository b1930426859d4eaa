"""Guesses about the columns of a stranger's table: who is the patient, what is a sample, which column names files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

import pandas as pd

PATIENT_STEMS = (
    "pat(?:ient(?:in|innen|en|s)?)?", "subj(?:ects?)?", "participants?", "person(?:en|s)?",
    "proband(?:en|in|innen|s)?", "teilnehmer(?:in|innen)?", "volunteers?", "donors?", "spender(?:in|innen)?",
    "individual", "case", "mouse|mice|maus|mäuse", "animals?", "tiere?", "rat", "user", "pid",
)  # fmt: skip
"""What columns of patients are called, as regular expressions; the likeliest stands first."""
NUMBERED = r"(?:nr|no|id|nummer|number|code|kennung|name)?\d*"
PATIENT_NAMES_AT_NEED = ("id", "code", "kennung", "studyid", "studienid")
"""Names that may as well be a sample's: a patient's only if they repeat, or if no other column could be."""
SAMPLE_WORDS = ("sample", "specimen", "spectrum", "name", "id", "record", "measurement", "code")
LABEL_WORDS = (
    "diagnosis", "diagnose", "label", "labels", "class", "category", "group", "status", "outcome", "disease", "target",
    "condition", "result", "grade", "stage", "subtype", "malignancy", "type", "cohort", "response",
    "classification", "befund", "gruppe", "klasse", "ergebnis", "erkrankung", "kategorie",
)  # fmt: skip
OTHER_WORDS = (
    "sex", "gender", "age", "date", "time", "centre", "center", "site", "hospital", "batch", "operator", "instrument",
    "location", "tissue", "file", "path", "comment", "note", "fold", "split", "zentrum", "klinik",
    "geschlecht", "alter", "gewebe", "datum", "gerät",
)  # fmt: skip


def words_of(name: str) -> list[str]:
    """Return the words of a column's name, in lower case: 'PatientID' and 'patient_id' are alike."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", str(name)))
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def named_like(name: str, words: Sequence[str]) -> bool:
    """Return whether a column's name holds one of the words, whole."""
    found = words_of(name)
    return any(word in words for word in (*found, "".join(found)))


def guess_patient(table: pd.DataFrame, taken: Collection[str] = (), at_need: bool = True) -> str | None:
    """Return the column that probably tells patients apart, in the order of `PATIENT_STEMS`; None if none does.

    Args:
        table: a row a sample or patient.
        taken: columns that are something else.
        at_need: take a column named 'ID' or the like where its values repeat, or no other column could be it.
    """
    open_ = [str(c) for c in table.columns if c not in taken and table[c].notna().any()]
    columns = [c for c in open_ if not named_like(c, (*LABEL_WORDS, *OTHER_WORDS))]
    for stem in PATIENT_STEMS:
        for column in columns:
            found = words_of(column)
            if any(re.fullmatch(f"(?:{stem}){NUMBERED}", word) for word in (*found, "".join(found))):
                return column
    vague = [c for c in columns if at_need and is_vague(c)]
    repeated = next((c for c in vague if table[c].dropna().duplicated().any()), None)
    if repeated is not None or not vague:
        return repeated
    rivals = (c for c in columns if c not in vague and not pd.api.types.is_float_dtype(table[c]))
    return None if any(table[c].dropna().duplicated().any() for c in rivals) else vague[0]


def is_vague(column: str) -> bool:
    """Return whether a column's name may be that of a patient or of a sample."""
    return "".join(words_of(column)) in PATIENT_NAMES_AT_NEED


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
