"""Study: samples x modalities x tasks, joined by id. The contract of the package; no I/O, no torch.

Shapes: `N` samples, `P` patients, `n` rows of a modality, `L` points of the wavenumber axis.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from polydx.errors import Problem, StudyError, counted
from polydx.modalities import (
    FloatArray,
    Images,
    IntArray,
    Modality,
    RowIndex,
    Spectra,
    Table,
    availability,
    describe_rows,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "UNLABELLED",
    "FloatArray",
    "Images",
    "IntArray",
    "Level",
    "Modality",
    "RowIndex",
    "Spectra",
    "Study",
    "Table",
    "Task",
    "Unit",
]

Level: TypeAlias = Literal["patient", "sample"]
Unit: TypeAlias = Literal["sample", "patient"]

Kind = TypeVar("Kind", Spectra, Images)

UNLABELLED = -1
NO_PATIENTS = "patients are not known"
"""How the note of a study begins whose `patient` is a group of samples; the report says it beside its headline."""


@dataclass(frozen=True)
class Task:
    """One question with named classes.

    Attributes:
        classes: names; a label's code is its position here.
        level: `patient` if the answer is the same for all samples of a patient, else `sample`.
        parent: `(task, class)` under which alone this task has an answer ("subtype, if malignant").
        ordinal: the classes have an order (T1 < T2 < T3).
        positive: the class that sensitivity, PPV and the ROC curve are about; only for two classes
            (the second class if not given).
    """

    classes: tuple[str, ...]
    level: Level = "patient"
    parent: tuple[str, str] | None = None
    ordinal: bool = False
    positive: str | None = None

    @property
    def positive_code(self) -> int | None:
        """Code of the positive class of a two-class task, else None."""
        if len(self.classes) != 2:
            return None
        return self.classes.index(self.positive) if self.positive is not None else 1

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; `from_dict` reads it back."""
        return {**asdict(self), "classes": list(self.classes), "parent": list(self.parent) if self.parent else None}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Task:
        """Return the task that `to_dict` described."""
        parent = (found["parent"][0], found["parent"][1]) if found["parent"] else None
        return cls(**{**found, "classes": tuple(found["classes"]), "parent": parent})

    def problems(self, name: str, tasks: Mapping[str, Task]) -> list[Problem]:
        """Return what is wrong with this task among `tasks`."""
        where, found = f"task '{name}'", []
        if len(self.classes) < 2:
            found.append(f"has {counted(len(self.classes), 'class')}; a task needs at least two")
        if len(set(self.classes)) < len(self.classes):
            found.append(f"repeats a class: {', '.join(self.classes)}")
        if self.level not in ("patient", "sample"):
            found.append(f"level is '{self.level}'; expected 'patient' or 'sample'")
        if self.positive is not None and self.positive not in self.classes:
            found.append(f"positive class '{self.positive}' is none of its classes: {', '.join(self.classes)}")
        if self.positive is not None and len(self.classes) > 2:
            found.append("has a positive class and more than two classes; leave `positive` out")
        found += self._parent_problems(name, tasks)
        return [Problem(where, what) for what in found]

    def _parent_problems(self, name: str, tasks: Mapping[str, Task]) -> list[str]:
        if self.parent is None:
            return []
        task, label = self.parent
        if task not in tasks:
            return [
                f"parent task '{task}' is none of the study's tasks: {', '.join(tasks)}; add it, or leave `parent` out"
            ]
        if label not in tasks[task].classes:
            return [f"parent class '{label}' is none of the classes of '{task}'"]
        seen, above = {name}, task
        while above not in seen:
            seen.add(above)
            step = tasks[above].parent
            if step is None or step[0] not in tasks:
                return []
            above = step[0]
        return [f"is its own ancestor (through '{task}')"]


@dataclass(frozen=True)
class Study:
    """Patients' measurements and labels, checked once, never changed.

    Attributes:
        name: the study's name; stands in every file of a run.
        samples: indexed by unique `sample` (str), with `patient` (str); may have `centre` and other columns,
            which serve subgroup figures and never become input of a model.
        modalities: name -> rows of one kind of input.
        rows: name -> index from samples (by position) to rows of that modality.
        tasks: name -> question.
        labels: indexed like `samples`, one int64 column a task, -1 = unlabelled.
        unit: what gets one prediction: a `sample` or a `patient` (then every sample is one patient).
        simulated: the study was drawn by a computer; every output says so.
        notes: what the reader changed or left out, one sentence each; reports show them.
        quality: optional flags, one boolean column a check, indexed like `samples`.

    Raises:
        StudyError: listing every problem found.
    """

    name: str
    samples: pd.DataFrame
    modalities: Mapping[str, Modality]
    rows: Mapping[str, RowIndex]
    tasks: Mapping[str, Task]
    labels: pd.DataFrame
    unit: Unit = "sample"
    simulated: bool = False
    notes: tuple[str, ...] = ()
    quality: pd.DataFrame | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check everything that can be checked without reading a file."""
        problems = [*_sample_problems(self), *_modality_problems(self), *_task_problems(self)]
        if problems:
            raise StudyError(f"{counted(len(problems), 'problem')} in study '{self.name}'", problems)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    @property
    def ids(self) -> NDArray[np.object_]:
        """(N,) sample ids."""
        return self.samples.index.to_numpy(dtype=object)

    @property
    def patients(self) -> NDArray[np.object_]:
        """(N,) patient of each sample."""
        return self.samples["patient"].to_numpy(dtype=object)

    @cached_property
    def patient_codes(self) -> tuple[IntArray, NDArray[np.object_]]:
        """(N,) code of each sample's patient, and (P,) the patients, sorted."""
        names, codes = np.unique(self.patients.astype(str), return_inverse=True)
        return codes.astype(np.int64), names.astype(object)

    def label_codes(self, task: str) -> IntArray:
        """(N,) class codes of a task, -1 where there is no label."""
        return self.labels[task].to_numpy(dtype=np.int64)

    def present(self, modality: str) -> NDArray[np.bool_]:
        """(N,) True where the sample has at least one row of the modality."""
        return self.rows[modality].counts > 0

    def has_any(self, modalities: Sequence[str]) -> NDArray[np.bool_]:
        """(N,) True where the sample has at least one row of at least one of these modalities."""
        return np.asarray(np.logical_or.reduce([self.present(name) for name in modalities]), dtype=np.bool_)

    def having(self, modalities: Sequence[str]) -> Study:
        """Return the study of the samples that have at least one row of at least one of these modalities.

        Raises:
            StudyError: no sample has any of them.
        """
        there = self.has_any(modalities)
        if there.all():
            return self
        if not there.any():
            named = ", ".join(modalities)
            raise StudyError(f"none of the {counted(len(self), 'sample')} of study '{self.name}' has any of: {named}")
        return self.take(np.flatnonzero(there))

    def spectra(self, modality: str) -> Spectra:
        """Return a modality that must hold spectra.

        Raises:
            StudyError: there is no such modality, or it holds something else.
        """
        return self._of_kind(modality, Spectra)

    def images(self, modality: str) -> Images:
        """Return a modality that must hold images.

        Raises:
            StudyError: there is no such modality, or it holds something else.
        """
        return self._of_kind(modality, Images)

    def _of_kind(self, modality: str, kind: type[Kind]) -> Kind:
        found = self.modalities.get(modality)
        if not isinstance(found, kind):
            held = f"holds {found.kind}" if found is not None else "is not there"
            raise StudyError(f"modality '{modality}' of study '{self.name}' {held}; expected {kind.kind}")
        return found

    def subset(self, ids: Iterable[str]) -> Study:
        """Return the study of these samples alone, in this order; other rows are not kept.

        Raises:
            StudyError: an id is not in the study.
        """
        import pandas as pd

        wanted = list(ids)
        positions = self.samples.index.get_indexer(pd.Index(wanted, dtype=object))
        if (positions < 0).any():
            missing = [i for i, p in zip(wanted, positions, strict=True) if p < 0]
            raise StudyError(f"no sample {missing[0]!r} in study '{self.name}'")
        return self.take(positions.astype(np.int64))

    def take(self, positions: IntArray) -> Study:
        """Return the study of the samples at these positions."""
        modalities: dict[str, Modality] = {}
        rows: dict[str, RowIndex] = {}
        for name, modality in self.modalities.items():
            rows[name], needed = self.rows[name].take(positions)
            modalities[name] = modality.take(needed)
        return replace(
            self,
            samples=self.samples.iloc[positions],
            labels=self.labels.iloc[positions],
            modalities=modalities,
            rows=rows,
            quality=None if self.quality is None else self.quality.iloc[positions],
        )

    def describe(self) -> dict[str, Any]:
        """Return counts: samples, patients, rows and gaps per modality and together, classes per task."""
        return {
            "name": self.name,
            "unit": self.unit,
            "simulated": self.simulated,
            "samples": len(self),
            "patients": len(self.patient_codes[1]),
            "modalities": {name: describe_rows(m, self.rows[name]) for name, m in self.modalities.items()},
            "availability": availability(self.rows, self.patients),
            "tasks": {name: _describe_task(self, name) for name in self.tasks},
            "notes": list(self.notes),
        }

    def content_hashes(self) -> dict[str, NDArray[np.object_]]:
        """Return per modality the SHA-256 of each row's measurement, to find copies across studies."""
        return {
            name: np.array(
                [hashlib.sha256(modality.content(i)).hexdigest() for i in range(len(modality))],
                dtype=object,
            )
            for name, modality in self.modalities.items()
        }

    def fingerprint(self) -> str:
        """Return a SHA-256 over ids, labels, tasks and measurements: the same study, the same string."""
        digest = hashlib.sha256()
        for part in (self.name, self.unit, repr(list(self.tasks.items())), list(self.ids), list(self.patients)):
            digest.update(repr(part).encode())
        digest.update(self.labels.to_numpy(dtype=np.int64).tobytes())
        for name, modality in self.modalities.items():
            digest.update(name.encode() + self.rows[name].starts.tobytes() + self.rows[name].rows.tobytes())
            if isinstance(modality, Spectra):
                digest.update(modality.axis.tobytes() + np.ascontiguousarray(modality.values).tobytes())
            else:
                if isinstance(modality, Images) and modality.window is not None:
                    digest.update(f"window {modality.window}".encode())
                if isinstance(modality, Table):
                    digest.update(repr(modality.frame.dtypes.astype(str).to_dict()).encode())
                for row in range(len(modality)):
                    digest.update(modality.content(row))
        return digest.hexdigest()


def _sample_problems(study: Study) -> list[Problem]:
    samples, where = study.samples, f"study '{study.name}'"
    if len(samples) == 0:
        return [Problem(where, "has no samples")]
    found: list[Problem] = []
    repeated = samples.index[samples.index.duplicated()].unique()
    found += [Problem(f"sample '{i}'", "stands more than once; sample ids must be unique") for i in repeated]
    if "patient" not in samples:
        return [*found, Problem(where, "has no column 'patient'; every sample needs a patient")]
    blank = samples["patient"].isna() | (samples["patient"].astype(str).str.strip() == "")
    found += [
        Problem(
            f"sample '{i}'",
            "patient is empty; every sample needs a patient (they keep one person on one side of a split)",
        )
        for i in samples.index[blank]
    ]
    if study.unit == "patient" and samples["patient"].duplicated().any():
        found.append(Problem(where, "unit is 'patient', yet a patient stands in several samples"))
    return found


def _modality_problems(study: Study) -> list[Problem]:
    found = []
    if not study.modalities:
        found.append(Problem(f"study '{study.name}'", "has no modality: nothing to learn from"))
    for name, modality in study.modalities.items():
        found += modality.problems(name)
        index = study.rows.get(name)
        if index is None or len(index) != len(study.samples):
            found.append(Problem(f"modality '{name}'", "has no index from every sample to its rows"))
        elif len(index.rows) and (index.rows.min() < 0 or index.rows.max() >= len(modality)):
            found.append(Problem(f"modality '{name}'", "index points at rows that are not there"))
    return found


def _task_problems(study: Study) -> list[Problem]:
    found = []
    if not study.tasks:
        found.append(Problem(f"study '{study.name}'", "has no task: nothing to predict"))
    if not study.labels.index.equals(study.samples.index):
        return [*found, Problem("labels", "are not indexed like the samples")]
    for name, task in study.tasks.items():
        problems = task.problems(name, study.tasks)
        if name not in study.labels:
            problems.append(Problem(f"task '{name}'", "has no column of labels"))
        found += problems
        if not problems and "patient" in study.samples:
            found += _label_problems(study, name, task)
    return found


def _label_problems(study: Study, name: str, task: Task) -> list[Problem]:
    codes, where = study.labels[name], f"task '{name}'"
    if (codes.to_numpy() == UNLABELLED).all():
        return []  # of samples to predict
    found = []
    outside = (codes < UNLABELLED) | (codes >= len(task.classes))
    if outside.any():
        found.append(Problem(where, f"label codes outside -1..{len(task.classes) - 1}"))
        return found
    if task.level == "patient":
        found += _conflicts(study, name, task)
    if task.parent is not None and task.parent[0] in study.labels and task.parent[0] in study.tasks:
        above, label = task.parent
        code = study.tasks[above].classes.index(label)
        parent_codes = study.labels[above]
        stray = (codes >= 0) & (parent_codes >= 0) & (parent_codes != code)
        found += [
            Problem(f"sample '{i}'", f"has a '{name}' although its '{above}' is not '{label}'")
            for i in codes.index[stray]
        ]
    return found


def _conflicts(study: Study, name: str, task: Task) -> list[Problem]:
    """Find patients with two answers to a patient-level task."""
    known = study.labels[name] >= 0
    answers = study.labels.loc[known, name].groupby(study.samples.loc[known, "patient"]).unique()
    return [
        Problem(
            f"patient '{patient}'",
            f"has {len(codes)} answers to '{name}' ({', '.join(task.classes[c] for c in sorted(codes))}), "
            "a patient-level task: mend the labels, or set `level: sample`",
        )
        for patient, codes in answers.items()
        if len(codes) > 1
    ]


def _describe_task(study: Study, name: str) -> dict[str, Any]:
    task, codes = study.tasks[name], study.label_codes(name)
    classes = {
        label: {
            "samples": int((codes == code).sum()),
            "patients": len(set(study.patients[codes == code])),
        }
        for code, label in enumerate(task.classes)
    }
    return {
        "level": task.level,
        "parent": list(task.parent) if task.parent else None,
        "positive": None if task.positive_code is None else task.classes[task.positive_code],
        "classes": classes,
        "unlabelled": int((codes < 0).sum()),
    }
