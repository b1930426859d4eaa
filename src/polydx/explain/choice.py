"""What is to be explained: a task, one or several of its classes, and the measurement that it is explained in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, StudyError
from polydx.params import unknown
from polydx.study import Study

REST, NONE = "rest", "none"
"""Held against: all other classes together; or nothing."""


@dataclass(frozen=True)
class Target:
    """One class of a task, and the patients it is held against.

    Attributes:
        task: name.
        code: of the class.
        label: of the class.
        reference: codes of the classes whose patients are the reference; none of them where there is none.
        against: their name: a class, `rest` or `none`.
    """

    task: str
    code: int
    label: str
    reference: tuple[int, ...]
    against: str


def chosen_task(study: Study, asked: str | None) -> str:
    """Return the task to explain: the one asked for, or the only one.

    Raises:
        ConfigError: none is named, and there are several.
    """
    if asked is None and len(study.tasks) > 1:
        raise ConfigError(f"name the task to explain with --task: one of {', '.join(study.tasks)}")
    return asked or next(iter(study.tasks))


def targets(study: Study, task: str, label: str | None = None, reference: str | None = None) -> list[Target]:
    """Return the classes of a task to explain.

    Args:
        study: it has the task.
        task: name.
        label: one class; the positive one of a task of two if not given, all of a task of more.
        reference: class to hold them against, or `none`; all other classes if not given.

    Raises:
        ConfigError: no such task or class, or a class against itself.
    """
    if task not in study.tasks:
        raise ConfigError(f"--task {task}: {unknown('task', task, study.tasks)}")
    asked, classes = study.tasks[task], study.tasks[task].classes
    for option, name in (("--class", label), ("--reference", reference)):
        if name is not None and name not in classes and (option, name) != ("--reference", NONE):
            raise ConfigError(f"{option} {name}: {unknown('class', name, classes)}")
    if label is not None and label == reference:
        raise ConfigError(f"--reference {reference} is the class to explain; name another, or leave it out")
    if label is not None:
        codes = [classes.index(label)]
    else:
        codes = list(range(len(classes))) if asked.positive_code is None else [asked.positive_code]
    return [_target(task, classes, code, reference) for code in codes if classes[code] != reference]


def _target(task: str, classes: Sequence[str], code: int, reference: str | None) -> Target:
    if reference == NONE and NONE not in classes:
        return Target(task, code, classes[code], (), NONE)
    others = [c for c in range(len(classes)) if c != code] if reference is None else [classes.index(reference)]
    against = classes[others[0]] if len(others) == 1 else REST
    return Target(task, code, classes[code], tuple(others), against)


def chosen_modality(study: Study, used: Sequence[str], asked: str | None, kind: type) -> str:
    """Return the modality to explain in: the one asked for, or the only one of its kind that the recipe uses.

    Raises:
        ConfigError: the recipe does not use it, it is of another kind, or several would do.
    """
    able = [name for name in used if isinstance(study.modalities.get(name), kind)]
    if asked is not None and asked not in able:
        raise ConfigError(f"--modality {asked}: no {_words(kind)} of that name; {_used(study, used)}")
    if asked is None and len(able) != 1:
        what = "several: name one with --modality" if able else "none: choose another --method"
        raise ConfigError(f"this method explains {_words(kind)}, of which there are {what}; {_used(study, used)}")
    return asked or able[0]


def _words(kind: type) -> str:
    name = str(getattr(kind, "kind", kind.__name__.lower()))
    return "tables" if name == "table" else name


def _used(study: Study, names: Sequence[str]) -> str:
    told = [f"{name} ({study.modalities[name].kind})" for name in names if name in study.modalities]
    return f"the recipe uses {', '.join(told)}"


def reference_samples(study: Study, modality: str, target: Target) -> Study:
    """Return the samples of the reference classes that have a modality.

    Raises:
        StudyError: there are none.
    """
    wanted = np.isin(study.label_codes(target.task), target.reference) & study.present(modality)
    if not wanted.any():
        what = f"no patient to hold class {target.label} of task '{target.task}' against ({target.against})"
        raise StudyError(f"{what}: choose another with --reference")
    return study.take(np.flatnonzero(wanted))


def reference_spectrum(study: Study, modality: str, target: Target) -> NDArray[np.float64] | None:
    """Return (L,) the mean spectrum of the reference patients, each counting once; None without a reference."""
    if not target.reference:
        return None
    own = reference_samples(study, modality, target)
    index = own.rows[modality]
    patients = own.patient_codes[0][index.sample_of_row]
    values = own.spectra(modality).values[index.rows].astype(np.float64)
    return np.asarray(np.mean([values[patients == p].mean(axis=0) for p in np.unique(patients)], axis=0))
