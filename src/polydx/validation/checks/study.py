"""All checks of a study, in one call."""

from __future__ import annotations

from collections.abc import Sequence

from polydx.splits import Fold
from polydx.study import Study
from polydx.validation.checks.candidates import candidates
from polydx.validation.checks.class_sizes import class_sizes
from polydx.validation.checks.confounders import confounders
from polydx.validation.checks.copied_modality import copied_modalities
from polydx.validation.checks.copies import copies
from polydx.validation.checks.coverage import coverage, folds_without
from polydx.validation.checks.disjoint import shared_patients
from polydx.validation.checks.findings import Finding
from polydx.validation.checks.giveaways import deciding_values, giveaways, renamed_answers
from polydx.validation.checks.near_copies import near_copies
from polydx.validation.checks.near_images import near_images
from polydx.validation.checks.quality import constant_spectra, flagged_samples
from polydx.validation.checks.units import task_units

RANK = {"error": 0, "warning": 1, "note": 2}


def check_study(study: Study, folds: Sequence[Fold] | None = None) -> list[Finding]:
    """Look for leakage, for what gives the answer away, and for numbers too small to say anything.

    Nothing is fitted. Memory stays bounded in the number of spectra; time is dominated by the search for near copies.

    Args:
        study: the patients.
        folds: the folds of one split (one seed), if there is one already.

    Returns:
        Findings, errors first. None of them raises here: see `refuse`.
    """
    units = [task_units(study, name) for name in study.tasks]
    values = candidates(study)
    renamed = renamed_answers(study, values)
    answers = {(f.where, f.details["task"]) for f in renamed}
    telling = [f for f in giveaways(units, values) if (f.where, f.details["task"]) not in answers]
    found = [
        *shared_patients(study, folds or ()),
        *copies(study),
        *copied_modalities(study),
        *near_copies(study),
        *near_images(study),
        *constant_spectra(study),
        *flagged_samples(study),
        *renamed,
        *telling,
        *deciding_values(units, values, [*renamed, *telling]),
        *confounders(units, values, telling),
        *class_sizes(study),
        *coverage(study),
        *folds_without(study, folds or ()),
    ]
    return sorted(found, key=lambda f: RANK[f.severity])
