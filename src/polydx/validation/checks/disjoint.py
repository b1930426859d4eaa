"""Patients on both sides of a fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polydx.errors import LeakageError, counted
from polydx.splits import Fold, check_disjoint
from polydx.study import Study
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed


def shared_patients(study: Study, folds: Sequence[Fold]) -> list[Finding]:
    """Find patients that stand on both sides of a fold, and samples that are tested twice.

    Args:
        study: the patients.
        folds: the folds of one split (one seed).
    """
    found = []
    patients = study.patients.astype(str)
    for fold in folds:
        both = np.intersect1d(patients[fold.train], patients[fold.test]).tolist()
        if both:
            message = (
                f"{counted(len(both), 'patient')} on both sides ({listed(both)}): split by patient, "
                "or the figures tell how well patients are recognised"
            )
            details = {"patients": both[:MOST_LISTED], "count": len(both)}
            found.append(Finding("error", "patient-on-both-sides", f"fold {fold.number}", message, details))
    if folds and not found:
        try:
            check_disjoint(study, folds)
        except LeakageError as error:
            found.append(Finding("error", "patient-on-both-sides", f"study '{study.name}'", error.message))
    return found
