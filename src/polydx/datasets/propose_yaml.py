"""A proposed study as YAML text, with a comment at every guess."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pandas as pd

from polydx.datasets.propose_columns import words_of
from polydx.datasets.propose_tasks import TaskGuess, told_strays

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
WORDS_OF_YAML = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
EDIT = "EDIT ME"


@dataclass
class Draft:
    """A study as far as it could be guessed.

    Attributes:
        name: of the study.
        samples: file name of the samples table.
        about: what that table is, for the comment behind it.
        patient_column: None if it could not be found.
        sample_column: None where rows have no ids of their own.
        modality: name, flow mapping and comment of the modality; None if it could not be found.
        images: the modality holds images.
        group: flow mapping of what stands in for patients, None where they are known.
        tasks: the guessed questions.
        told_apart: it is known which rows are one patient's.
        columns: of the samples table, named where one must be chosen by hand.
        clinical: column -> how a table of clinical values would declare it.
        unknown: words of these columns that look like no value.
        patients: patients of the fewest class of the first task, for the number of folds.
        notes: what the user should know.
    """

    name: str
    samples: str = "samples.csv"
    about: str = ""
    patient_column: str | None = "patient"
    sample_column: str | None = None
    modality: tuple[str, str, str] | None = None
    images: bool = False
    group: str | None = None
    tasks: list[TaskGuess] = field(default_factory=list)
    told_apart: bool = True
    columns: tuple[str, ...] = ()
    clinical: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    patients: int = 5
    notes: list[str] = field(default_factory=list)

    @property
    def asked(self) -> list[TaskGuess]:
        """The guesses that are proposed as tasks; the others stand in the YAML as comments."""
        return [task for task in self.tasks if task.hinted] or self.tasks[:1]


def render(draft: Draft) -> str:
    """Return the YAML of a draft."""
    lines = [
        f"# Proposed by looking at the folder '{draft.name}'. Lines marked 'guess' are guesses: check and edit them.",
        *(f"# {' '.join(note.split())}" for note in draft.notes),
        "study:",
        f"  name: {quoted(draft.name)}",
        f"  samples: {quoted(draft.samples)}  # {draft.about or f'{EDIT}: a table with a row a sample'}",
        *_id_lines(draft),
        "  modalities:",
        _modality_line(draft),
        *_clinical_lines(draft),
        "  tasks:",
        *_task_lines(draft),
        "recipes:",
        *_recipe_lines(draft),
        "validation:",
        *_validation_lines(draft),
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return text as a YAML scalar that is read back as this text."""
    plain = PLAIN.fullmatch(text) and text.lower() not in WORDS_OF_YAML
    return text if plain else json.dumps(text, ensure_ascii=False)


def task_name(column: str) -> str:
    """Return a column's name as the name of a task."""
    return "_".join(words_of(column)) or "task"


def fewest_patients(labels: pd.Series, patients: pd.Series) -> int:
    """Return how many patients the smallest class has."""
    return int(patients.groupby(labels.astype(str).where(labels.notna())).nunique().min())


def _id_lines(draft: Draft) -> list[str]:
    lines = []
    if draft.group is not None:
        lines.append(f"  group: {draft.group}  # guess: groups of images, no patients")
    if draft.patient_column is None:
        told = " ".join(", ".join(draft.columns).split())
        lines.append(f"  patient_column: PATIENT  # {EDIT}: the column that tells patients apart; there are: {told}")
    elif draft.patient_column != "patient":
        lines.append(f"  patient_column: {quoted(draft.patient_column)}  # guess: tells patients apart")
    if draft.sample_column not in (None, "sample"):
        lines.append(f"  sample_column: {quoted(str(draft.sample_column))}  # guess: a unique id a row")
    return lines


def _modality_line(draft: Draft) -> str:
    if draft.modality is None:
        return f"    raman: {{kind: spectra, column: FILE}}  # {EDIT}: the column that names a file of spectra a row"
    name, mapping, comment = draft.modality
    return f"    {name}: {mapping}  # {comment}"


def _clinical_lines(draft: Draft) -> list[str]:
    """Return a table of clinical values, commented out: what of it is known before the answer only the user knows."""
    if not draft.clinical:
        return []
    missing = [f"  missing: [{', '.join(quoted(word) for word in draft.unknown)}]"] if draft.unknown else []
    block = [
        "clinical:  # guess: take the marks away for a model that sees these columns too;",
        "  # leave out what is known only once the answer is, and what merely says how a sample was handled",
        "  kind: table",
        *missing,
        "  columns:",
        *(f"    {quoted(column)}: {kind}" for column, kind in draft.clinical.items()),
    ]
    return [f"    # {line}" for line in block]


def _task_lines(draft: Draft) -> list[str]:
    if not draft.tasks:
        told = " ".join(", ".join(draft.columns).split()) or "none"
        return [
            "    diagnosis:",
            f"      column: LABEL  # {EDIT}: the column with the answer; there are: {told}",
            f"      classes: [control, disease]  # {EDIT}: its values",
        ]
    active = draft.asked
    lines = []
    for task in draft.tasks:
        mark = "" if task in active else "# "
        left_out = f"; no class: {told_strays(task)}" if task.strays else ""
        block = [
            f"{task_name(task.column)}:",
            f"  column: {quoted(task.column)}  # guess: few different values" + (", and a telling name" * task.hinted),
            f"  classes: [{', '.join(quoted(c) for c in task.classes)}]  # guess: their order{left_out}",
            f"  level: {task.level}  # " + _level_comment(task, draft.told_apart),
        ]
        if task.positive is not None:
            block.append(f"  positive: {quoted(task.positive)}  # guess: what sensitivity is about")
        lines += [f"    {mark}{line}" for line in block]
    return lines


def _level_comment(task: TaskGuess, told_apart: bool) -> str:
    if not told_apart:
        return f"{EDIT}: 'sample' if a patient can have several answers"
    return "one answer a patient" if task.level == "patient" else "some patients have several answers"


def _recipe_lines(draft: Draft) -> list[str]:
    name = draft.modality[0] if draft.modality else "raman"
    if draft.images:
        return [f"  cnn: {{kind: network, backbones: {{{name}: {{name: cnn}}}}}}"]
    steps = "[savitzky_golay: {window: 11, order: 3, derivative: 1}, snv, standardise]"
    return [
        "  logistic:",
        "    kind: classical",
        "    model: logistic_regression",
        f"    preprocessing: {{{name}: {steps}}}",
        "    params: {C: 0.01}",
    ]


def _validation_lines(draft: Draft) -> list[str]:
    active = draft.asked
    task = task_name(active[0].column) if active else "diagnosis"
    level = active[0].level if active else "patient"
    folds = max(2, min(5, draft.patients))
    declared = (
        f"primary: {{recipe: {'cnn' if draft.images else 'logistic'}, task: {task}, level: {level}, metric: auroc}}"
    )
    if not any(t.hinted for t in draft.tasks):
        declared = f"# {declared}  # {EDIT}: no column is named like a diagnosis; choose the task, then declare it"
    return [
        "  split: stratified-group-k-fold  # no patient on both sides of a fold",
        f"  folds: {folds}",
        "  seeds: [0]",
        f"  {declared}",
    ]
