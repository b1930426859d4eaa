"""Guesses about what is asked: which columns of a stranger's table hold labels, and why the others do not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from polydx.datasets.propose_columns import LABEL_WORDS, OTHER_WORDS, SAMPLE_WORDS, named_like, words_of

CONTROL_WORDS = (
    "control", "controls", "ctrl", "healthy", "normal", "benign", "negative", "neg", "no", "none", "hc", "0", "absent",
    "kontrolle", "kontrollen", "gesund", "negativ", "nein", "contrôle", "contrôles", "témoin", "témoins", "sain",
    "sains", "controllo", "controlli", "sano", "sani", "sanos", "controles", "kontroll", "kontrol", "frisk",
)  # fmt: skip
EMPTY_WORDS = ("", "n/a", "na", "-", "?", "unknown", "unbekannt")
MOST_CLASSES = 10
MOST_STRAYS = {True: 0.5, False: 0.1}
"""Share of rows whose value may stand alone, in a column that is named like labels, and in one that is not."""


@dataclass(frozen=True)
class TaskGuess:
    """A column that looks like a question.

    Attributes:
        column: its name.
        classes: its values, in their most frequent spelling; what looks like a control stands first.
        level: `patient` if no patient has two values, else `sample`.
        hinted: the name of the column says so too.
        strays: values as they stand that are no class: seen once, spelled in another way, or a word for unknown.
    """

    column: str
    classes: tuple[str, ...]
    level: str
    hinted: bool
    strays: tuple[str, ...] = ()

    @property
    def positive(self) -> str | None:
        """The class that is no control, where there are two."""
        return self.classes[1] if len(self.classes) == 2 else None


def guess_tasks(table: pd.DataFrame, patients: pd.Series | None, taken: Collection[str]) -> list[TaskGuess]:
    """Return the columns that may be questions, the likeliest first: see `judge_columns`."""
    return judge_columns(table, patients, taken)[0]


def judge_columns(
    table: pd.DataFrame, patients: pd.Series | None, taken: Collection[str]
) -> tuple[list[TaskGuess], dict[str, str]]:
    """Return the columns that may be questions, the likeliest first, and why others that look alike are none.

    A question has 2 to 10 classes, each in at least two rows. Whole numbers count only where the name says label, and
    a column that says the same as an earlier one in other words is left out.

    Args:
        table: a row a sample or patient.
        patients: the patient of each row, None if unknown.
        taken: columns that are something else.
    """
    guesses: list[TaskGuess] = []
    rejected: dict[str, str] = {}
    for column in map(str, table.columns):
        if column in taken:
            continue
        judged = _judge(column, table[column], patients)
        if isinstance(judged, TaskGuess):
            guesses.append(judged)
        elif judged is not None:
            rejected[column] = judged
    rank = {str(name): i for i, name in enumerate(table.columns)}
    guesses.sort(key=lambda g: (not g.hinted, _numbers(cleaned(table[g.column])), rank[g.column]))
    kept: list[TaskGuess] = []
    for guess in guesses:
        twin = next((other for other in kept if _same(table, guess, other)), None)
        if twin is None:
            kept.append(guess)
        else:
            rejected[guess.column] = f"says the same as '{twin.column}'"
    return kept, rejected


def cleaned(cells: pd.Series) -> pd.Series:
    """Return a column as text in one spelling: case and blanks aside, the most frequent; None where nothing is known.

    Words such as 'n/a' or 'unknown' are nothing known; 1.0 is '1'.
    """
    texts = pd.Series([_text(value) for value in cells], index=cells.index, dtype=object)
    texts = texts.where(texts.map(_folded, na_action="ignore").map(lambda t: t not in EMPTY_WORDS), None)
    folded = texts.map(_folded, na_action="ignore")
    usual = {key: group.value_counts().index[0] for key, group in texts.groupby(folded)}
    return folded.map(usual).astype(object)


def labels_of(table: pd.DataFrame, task: TaskGuess) -> pd.Series:
    """Return the class of each row, missing where it has none."""
    found = cleaned(table[task.column])
    return found.where(found.isin(task.classes))


def _judge(column: str, cells: pd.Series, patients: pd.Series | None) -> TaskGuess | str | None:
    """Return the question a column asks, or why it asks none; None if nobody would think that it does."""
    asked, other = named_like(column, LABEL_WORDS), [w for w in words_of(column) if w in OTHER_WORDS]
    if named_like(column, OTHER_WORDS):
        return f"its name says '{other[0]}' too" if asked and other else None
    found = cleaned(cells)
    counts = found.value_counts()
    classes = counts.index[counts >= 2].tolist()
    numbers = _numbers(found)
    alone = int((counts == 1).sum())
    if numbers and not asked:
        return None
    if numbers and not all(float(value).is_integer() for value in counts.index):
        return "numbers with decimals"
    reason = None
    if len(classes) < 2:
        reason = "fewer than two values stand in two rows or more"
    elif len(classes) > MOST_CLASSES:
        reason = f"{len(classes)} different values, more than {MOST_CLASSES}"
    elif alone > MOST_STRAYS[asked] * int(counts.sum()):
        reason = f"{alone} of {int(counts.sum())} values stand in one row only"
    if reason is None:
        ordered = tuple(sorted(sorted(classes), key=lambda v: not named_like(v, CONTROL_WORDS)))
        texts = pd.Series([_text(value) for value in cells], dtype=object).dropna()
        strays = tuple(dict.fromkeys(text for text in texts if text not in ordered))
        return TaskGuess(column, ordered, _level(found.where(found.isin(ordered)), patients), asked, strays)
    likely = classes and len(counts) <= MOST_CLASSES and len(counts) > 1 and not named_like(column, SAMPLE_WORDS)
    return reason if asked or likely else None


def _text(value: Any) -> str | None:
    if pd.isna(value):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _numbers(found: pd.Series) -> bool:
    return bool(pd.to_numeric(found.dropna(), errors="coerce").notna().all())


def _level(found: pd.Series, patients: pd.Series | None) -> str:
    if patients is None:
        return "patient"
    return "patient" if found.groupby(patients).nunique().max() <= 1 else "sample"


def _same(table: pd.DataFrame, one: TaskGuess, other: TaskGuess) -> bool:
    """Return whether two columns tell the same in other words."""
    pairs = pd.DataFrame({"a": labels_of(table, one), "b": labels_of(table, other)}).dropna().drop_duplicates()
    return len(pairs) == pairs["a"].nunique() == pairs["b"].nunique()


def told_strays(task: TaskGuess, most: int = 5) -> str:
    """Return the values that are no class, the first few in quotes."""
    return quoted_few(task.strays, most)


def quoted_few(values: Sequence[str], most: int = 5) -> str:
    """Return up to `most` values in quotes, and how many more there are."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(repr(value) for value in values[:most]) + more
