"""Enough patients: the unit that counts, however many samples each has."""

from __future__ import annotations

import numpy as np
import pandas as pd

from polydx.errors import counted
from polydx.study import UNLABELLED, Study
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed

FEW_PATIENTS = 5
LARGE_SHARE = 0.3


def class_sizes(study: Study) -> list[Finding]:
    """Find classes without or with few patients, patients without a label, and samples without any input."""
    found = []
    for name in study.tasks:
        found += [*_classes(study, name), *_unlabelled(study, name)]
    return [*found, *_without_input(study), *_dominant_patient(study)]


def _classes(study: Study, name: str) -> list[Finding]:
    codes, task = study.label_codes(name), study.tasks[name]
    counts = {label: len(set(study.patients[codes == code])) for code, label in enumerate(task.classes)}
    absent = [label for label, count in counts.items() if count == 0]
    few = {label: count for label, count in counts.items() if 0 < count < FEW_PATIENTS}
    found = []
    if absent:
        message = f"no patient of class {listed(absent, 10)}: it cannot be learned or tested; leave it out of `classes`"
        found.append(Finding("warning", "absent-class", f"task '{name}'", message, {"patients": counts}))
    if few:
        told = ", ".join(f"{label}: {counted(count, 'patient')}" for label, count in few.items())
        message = (
            f"{told}: too few for an interval that means anything, whatever the number of samples; "
            "merge classes, or read their figures as anecdotes"
        )
        found.append(Finding("warning", "few-patients", f"task '{name}'", message, {"patients": counts}))
    return found


def _unlabelled(study: Study, name: str) -> list[Finding]:
    """Count patients without any label, of those who may have one (whose parent class is the right one or unknown)."""
    task, codes = study.tasks[name], study.label_codes(name)
    asked = np.ones(len(study), dtype=np.bool_)
    if task.parent is not None:
        above, label = task.parent
        parent = study.label_codes(above)
        asked = (parent == study.tasks[above].classes.index(label)) | (parent == UNLABELLED)
    without = sorted(set(study.patients[asked]) - set(study.patients[codes != UNLABELLED]))
    if not without:
        return []
    total = counted(len(set(study.patients[asked])), "patient")
    message = f"{len(without)} of {total} without a label ({listed(without)}): they add nothing to this task"
    details = {"count": len(without), "patients": without[:MOST_LISTED]}
    return [Finding("note", "unlabelled", f"task '{name}'", message, details)]


def _without_input(study: Study) -> list[Finding]:
    present = np.any([study.present(m) for m in study.modalities], axis=0)
    without = study.ids[~present].tolist()
    if not without:
        return []
    message = (
        f"{counted(len(without), 'sample')} with no row in any modality ({listed(without)}): there is nothing to "
        "predict from; leave them out"
    )
    details = {"count": len(without), "samples": without[:MOST_LISTED]}
    return [Finding("warning", "no-input", f"study '{study.name}'", message, details)]


def _dominant_patient(study: Study) -> list[Finding]:
    """Note a patient who has a large share of all samples, and at least twice an even share."""
    counts = pd.Series(study.patients).value_counts()
    share = counts.iloc[0] / len(study)
    if share <= max(LARGE_SHARE, 2 / len(counts)):
        return []
    message = (
        f"has {counts.iloc[0]} of {counted(len(study), 'sample')} ({share:.0%}): figures of samples are mostly this "
        "patient's; read those of patients"
    )
    details = {"samples": int(counts.iloc[0]), "share": float(share)}
    return [Finding("note", "dominant-patient", f"patient '{counts.index[0]}'", message, details)]
