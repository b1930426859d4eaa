"""From probabilities to answers: decisions, one row a sample or a patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.bundle.batch import Batch
from polydx.decision import UNDECIDED, decide
from polydx.errors import ReadError
from polydx.recipes.protocol import Probabilities
from polydx.recipes.store import Model
from polydx.study import Spectra, Task


def answered(model: Model, batch: Batch, probabilities: Probabilities) -> pd.DataFrame:
    """Return one row a sample: where it comes from, each task's answer, the modalities used, and warnings."""
    columns: dict[str, Any] = {str(name): batch.origin[name].to_numpy() for name in batch.origin}
    strange = strangers(model, batch)
    columns |= task_columns(model, probabilities)
    columns["modalities"] = batch.has(list(model.modalities))
    columns["warnings"] = [[*batch.warnings.get(i, []), *strange.get(i, [])] for i in range(len(batch))]
    return pd.DataFrame(columns)


def strangers(model: Model, batch: Batch) -> dict[int, list[str]]:
    """Return position of a sample -> how its spectra are unlike those of training, one sentence a modality."""
    found: dict[int, list[str]] = {}
    for name, domain in model.domains.items():
        spectra, index = batch.modalities.get(name), batch.rows.get(name)
        if not isinstance(spectra, Spectra) or index is None:
            continue
        outside = domain.outside(spectra.values[index.rows])
        owner, counts = index.sample_of_row, index.counts
        rows: dict[int, list[str]] = {}
        for row, why in outside.items():
            rows.setdefault(int(owner[row]), []).append(why)
        for sample, listed in rows.items():
            many = f"{len(listed)} of {counts[sample]} spectra, the first: " if counts[sample] > 1 else ""
            found.setdefault(sample, []).append(f"{name}: {many}{listed[0]}")
    return found


def task_columns(model: Model, probabilities: Probabilities) -> dict[str, Any]:
    """Return the columns of every task: the decision, the probability of each class, and the prediction set."""
    columns: dict[str, Any] = {}
    for name, task in model.tasks.items():
        columns[name] = decisions(probabilities[name], task, model.fitted.thresholds.get(name))
        columns |= {f"{name}: {label}": probabilities[name][:, code] for code, label in enumerate(task.classes)}
        if model.sets is not None:
            columns[f"{name} set"] = model.sets.sets(name, task.classes, probabilities[name])
    return columns


def decisions(probabilities: NDArray[np.float64], task: Task, threshold: float | None) -> NDArray[np.object_]:
    """Return (N,) class names, as `polydx.decision.decide` has it."""
    codes = decide(probabilities, task.positive_code, UNDECIDED if threshold is None else threshold)
    return np.array(task.classes, dtype=object)[codes]


def named_patients(answers: pd.DataFrame, patients: Sequence[str]) -> pd.DataFrame:
    """Return the answers with whose they are.

    Raises:
        ReadError: not one patient an answer.
    """
    if len(patients) != len(answers):
        raise ReadError(f"{len(patients)} patients for {len(answers)} answers: name one for each")
    found = answers.copy()
    found.insert(1, "patient", list(map(str, patients)))
    return found


def by_patient(model: Model, answers: pd.DataFrame) -> pd.DataFrame:
    """Return one row a patient: the mean of the probabilities of their samples, decided anew.

    Args:
        model: what was asked.
        answers: with a column `patient`.

    Returns:
        `patient`, `samples` (how many), then as `answered`: for tasks of patients alone, for a task of samples has no
        answer for a patient.
    """
    groups = answers.groupby("patient", sort=False)
    found = pd.DataFrame({"patient": list(groups.groups), "samples": groups.size().to_numpy()})
    for name, task in model.tasks.items():
        if task.level != "patient":
            continue
        columns = [f"{name}: {label}" for label in task.classes]
        means = groups[columns].mean().to_numpy()
        found[name] = decisions(means, task, model.fitted.thresholds.get(name))
        found[columns] = means
        if model.sets is not None:
            found[f"{name} set"] = model.sets.sets(name, task.classes, means)
    found["modalities"] = [merged(lists) for _, lists in groups["modalities"]]
    found["warnings"] = [merged(lists) for _, lists in groups["warnings"]]
    return found


def merged(lists: pd.Series) -> list[str]:
    """Return what stands in any of the lists, once."""
    return list(dict.fromkeys(one for listed in lists for one in listed))
