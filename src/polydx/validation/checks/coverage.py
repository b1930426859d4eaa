"""Which samples have rows of a modality and which have none, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polydx.errors import counted
from polydx.splits import Fold
from polydx.study import Study
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed


def coverage(study: Study) -> list[Finding]:
    """Name the samples that have no row of a modality; nothing is said of a modality that all have."""
    found = []
    for name in study.modalities:
        there = study.present(name)
        without = study.ids[~there].tolist()
        if not without:
            continue
        message = (
            f"{int(there.sum())} of {counted(len(study), 'sample')} have it; "
            f"{counted(len(without), 'sample')} without: {listed(without, 5)}"
        )
        details = {"with": int(np.sum(there)), "without": len(without), "samples": without[:MOST_LISTED]}
        found.append(Finding("note", "samples-without", f"modality '{name}'", message, details))
    return found


def folds_without(study: Study, folds: Sequence[Fold]) -> list[Finding]:
    """Name the folds whose training samples all lack a modality: no recipe that uses it can be fitted there."""
    found = []
    for name in study.modalities:
        there = study.present(name)
        bare = [fold.number for fold in folds if not there[fold.train].any()]
        if bare:
            message = (
                f"no training sample of fold {listed(bare, 5)} has it, so recipes that use it stop there: "
                "leave it out of them, or draw other folds"
            )
            found.append(Finding("warning", "fold-without", f"modality '{name}'", message, {"folds": bare}))
    return found
