"""A labelled study of another centre as a model takes it: its tasks and classes, its axis, its columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.bundle.inputs import onto_axis, small
from polydx.bundle.tables import Values, table_of
from polydx.errors import AxisError, Problem, StudyError, counted
from polydx.io.decoded import decoded
from polydx.modalities import HeldImages
from polydx.recipes.store import Modality as About
from polydx.recipes.store import Model
from polydx.study import UNLABELLED, Images, Modality, RowIndex, Spectra, Study, Table, Task

RowWarnings: TypeAlias = Mapping[int, list[str]]


class Aligned(NamedTuple):
    """A study as a model takes it.

    Attributes:
        study: with tasks, classes, axes and columns of the model.
        notes: what was changed or left out, one sentence each.
        warnings: sample -> what its answer should be read with.
    """

    study: Study
    notes: list[str]
    warnings: dict[str, list[str]]


def aligned(model: Model, study: Study, *, labelled: bool = True) -> Aligned:
    """Return the study with the model's tasks and modalities, and what was noticed.

    Tasks are joined by name, classes by name: the model may know classes that the study has not.

    Args:
        model: what will be asked.
        study: with spectra on an axis that covers the model's.
        labelled: refuse a study without any label of the model's tasks.

    Raises:
        StudyError: nothing to compare, or what the model cannot answer for; all is listed.
    """
    problems = [*_task_problems(model, study, labelled), *_modality_problems(model, study)]
    notes: list[str] = []
    warnings: dict[str, list[str]] = {}
    modalities: dict[str, Modality] = {}
    for name in (n for n in model.modalities if n in study.modalities and not problems):
        try:
            modalities[name], told = _modality(model, study, name, notes)
            for sample, sentences in _of_samples(study, name, told):
                warnings.setdefault(sample, []).extend(sentences)
        except AxisError as error:
            problems.append(Problem(f"modality '{name}'", error.message))
    if problems:
        raise StudyError(f"the model cannot be asked about study '{study.name}'", problems)
    notes += _left_out(model, study)
    labels = {name: _codes(model, study, name) for name in model.tasks if name in study.tasks}
    fitting = replace(
        study,
        modalities=modalities,
        rows={name: _rows(modalities[name], study.rows[name]) for name in modalities},
        tasks={name: _task(model.tasks[name], labels) for name in labels},
        labels=pd.DataFrame(labels, index=study.labels.index),
        quality=None,
    )
    kept = fitting.having(list(modalities))
    if len(kept) < len(study):
        notes.append(f"left out: {counted(len(study) - len(kept), 'sample')} with none of {', '.join(modalities)}")
    return Aligned(kept, notes, warnings)


def _task_problems(model: Model, study: Study, labelled: bool) -> list[Problem]:
    shared = [name for name in model.tasks if name in study.tasks]
    if not shared:
        return [Problem("tasks", f"the study has {', '.join(study.tasks)}; the model answers {', '.join(model.tasks)}")]
    found = []
    if study.unit != model.unit:
        found.append(
            Problem("study.unit", f"the model answers once a {model.unit}, the study asks once a {study.unit}")
        )
    if labelled and not any((study.label_codes(name) != UNLABELLED).any() for name in shared):
        found.append(
            Problem("tasks", f"no sample has a label of {', '.join(shared)}: there is nothing to compare with")
        )
    for name in shared:
        own, known = study.tasks[name], model.tasks[name]
        used = {own.classes[code] for code in study.label_codes(name) if code != UNLABELLED}
        strange = [label for label in own.classes if label in used and label not in known.classes]
        if strange:
            classes = ", ".join(known.classes)
            found.append(Problem(f"task '{name}'", f"the model does not know {', '.join(strange)}; it knows {classes}"))
        if own.level != known.level:
            found.append(
                Problem(f"task '{name}'", f"is of level {own.level} here, of level {known.level} in the model")
            )
    return found


def _modality_problems(model: Model, study: Study) -> list[Problem]:
    shared = [name for name in model.modalities if name in study.modalities]
    if not shared:
        known, own = ", ".join(model.modalities), ", ".join(study.modalities)
        return [Problem("modalities", f"the study has {own}; the model takes {known}: name them alike")]
    found = []
    for name in shared:
        about, own_kind = model.modalities[name], study.modalities[name].kind
        if own_kind != about.kind:
            found.append(Problem(f"modality '{name}'", f"holds {own_kind}; the model takes {about.kind}"))
            continue
        modality = study.modalities[name]
        if isinstance(modality, Table):
            found += _unit_problems(name, about, modality)
    return found


def _unit_problems(name: str, about: About, table: Table) -> list[Problem]:
    found = []
    for column in about.columns:
        own = table.units.get(column.name, "")
        if own and column.unit and own != column.unit:
            where = f"modality '{name}', column '{column.name}'"
            found.append(Problem(where, f"is in {own}; the model takes {column.unit}: convert it"))
    if not any(column.name in table.frame for column in about.columns):
        columns = ", ".join(column.name for column in about.columns)
        found.append(Problem(f"modality '{name}'", f"has none of the columns that the model takes: {columns}"))
    return found


def _modality(model: Model, study: Study, name: str, notes: list[str]) -> tuple[Modality, RowWarnings]:
    """Return a modality as the model takes it, and row -> warnings; `notes` gains what is so for all rows."""
    found, about = study.modalities[name], model.modalities[name]
    if isinstance(found, Spectra):
        axis = model.axes[name]
        return Spectra(onto_axis(found.values.astype(np.float64), found.axis, axis, name, notes), axis), {}
    if isinstance(found, Images):
        images = found if isinstance(found, HeldImages) else replace(found, window=about.window)
        return images, _small_images(images, name, about)
    return _table(found, name, about, notes)


def _small_images(images: Images, name: str, about: About) -> RowWarnings:
    if about.size is None:
        return {}
    shapes = decoded(images, lambda pixels: np.array(pixels.shape[:2]), "height and width")
    told = {row: small(name, (int(height), int(width)), about.size) for row, (height, width) in enumerate(shapes)}
    return {row: [sentence] for row, sentence in told.items() if sentence}


def _of_samples(study: Study, name: str, told: RowWarnings) -> Iterator[tuple[str, list[str]]]:
    """Yield the samples with rows of which something is told, each sentence once."""
    index = study.rows[name]
    for i, sample in enumerate(study.ids if told else ()):
        found = dict.fromkeys(sentence for row in index[i].tolist() for sentence in told.get(row, ()))
        if found:
            yield str(sample), list(found)


def _table(table: Table, name: str, about: About, notes: list[str]) -> tuple[Table, RowWarnings]:
    known = [column.name for column in about.columns]
    lacking = [column for column in known if column not in table.frame]
    if lacking:
        notes.append(f"{name}: missing for every sample: {', '.join(lacking)}")
    told: dict[int, list[str]] = {}
    kept: Any = table.frame[[column for column in known if column in table.frame]]
    rows = [
        Values.checked(name, about.columns, row, told.setdefault(i, []))
        for i, row in enumerate(kept.to_dict("records"))
    ]
    return table_of(about.columns, rows), told


def _rows(modality: Modality, index: RowIndex) -> RowIndex:
    """Return the index without rows of a table that hold nothing the model takes: no value is no measurement."""
    if not isinstance(modality, Table):
        return index
    told = np.asarray(modality.frame.notna().to_numpy().any(axis=1), dtype=np.bool_)
    return index if told.all() else RowIndex.from_lists([index[i][told[index[i]]] for i in range(len(index))])


def _task(known: Task, asked: Collection[str]) -> Task:
    """Return a task of the model; where its parent is not asked, the samples that have a label are all it is about."""
    return known if known.parent is None or known.parent[0] in asked else replace(known, parent=None)


def _codes(model: Model, study: Study, name: str) -> NDArray[np.int64]:
    """Return the study's labels as codes of the model's classes."""
    known = model.tasks[name].classes
    new = [known.index(label) if label in known else UNLABELLED for label in study.tasks[name].classes]
    return np.array([*new, UNLABELLED], dtype=np.int64)[study.label_codes(name)]


def _left_out(model: Model, study: Study) -> list[str]:
    """Say what the study has and the model does not know, or the other way round."""
    notes = []
    for what, own, known in (("task", study.tasks, model.tasks), ("modality", study.modalities, model.modalities)):
        strange, absent = [n for n in own if n not in known], [n for n in known if n not in own]
        if strange:
            notes.append(f"{what} unknown to the model, left out: {', '.join(strange)}")
        if absent:
            notes.append(f"{what} of the model that the study does not have: {', '.join(absent)}")
    for name in (n for n in model.tasks if n in study.tasks):
        above = model.tasks[name].parent
        if above is not None and above[0] not in study.tasks:
            notes.append(
                f"task '{name}': answered given that '{above[0]}' is {above[1]}, which the study does not ask: its"
                " figures are of the samples with a label of it, and do not say whether the model finds those"
            )
        there = set(study.label_codes(name).tolist())
        own_classes = study.tasks[name].classes
        none = [c for c in model.tasks[name].classes if c not in {own_classes[k] for k in there if k != UNLABELLED}]
        if none:
            notes.append(f"task '{name}': no sample of {', '.join(none)}")
    return notes
