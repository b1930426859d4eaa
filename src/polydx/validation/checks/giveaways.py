"""A single value that answers the task by itself: then it is doubtful what a model learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.study import Study
from polydx.validation.checks.candidates import MISSING, Candidate, Source
from polydx.validation.checks.findings import MOST_LISTED, Finding, Severity
from polydx.validation.checks.units import TaskUnits

Floats = NDArray[np.float64]

GIVEN_AWAY = 0.95  # AUROC of a single value
STRONG = 0.85  # AUROC of a column that models are given
SUSPICIOUS = 0.8  # AUROC of a number that only describes the samples
FALSE_ALARMS = 0.01  # of all comparisons of a study together
FEWEST = 10  # patients with a label, below which nothing is said

CHECKS: dict[Source, tuple[Severity, str]] = {"order": ("note", "sample-order"), "count": ("note", "sample-counts")}
GIVES_AWAY: tuple[Severity, str] = ("warning", "gives-answer-away")
ADVICE: dict[Source, str] = {
    "samples": "the groups differ in it, so a model may learn it in place of the disease: balance the groups, or "
    "compare patients that are alike in it (a finer name of the same diagnosis is harmless: models never see it)",
    "table": "models are given it: leave the column out unless it is known, and means the same, before the diagnosis",
    "signal": "find out whether the groups were measured with the same settings, and normalise (`snv`) if brightness "
    "means nothing",
    "rows": "the groups were measured differently often: use the same number for all, or pool by mean",
    "missing": "what was measured depends on the diagnosis: use samples that have it, or leave it out for all",
    "quality": "the flagged samples stand in one class: see whether results hold without them",
    "order": "models never see it, so no figure is touched; but if it is the order of measurement, the groups were "
    "measured apart, and drift of the instrument can pass for disease",
    "count": "models never see it, but figures of samples weigh the groups by it: read those of patients",
}


@dataclass(frozen=True)
class Separation:
    """How well one candidate tells one class from the rest."""

    auroc: float
    p: float


def giveaways(tasks: Sequence[TaskUnits], found: Sequence[Candidate]) -> list[Finding]:
    """Find candidates that alone separate a class: AUROC of at least 0.95, beyond what chance explains.

    Numbers count in either direction. Categories are scored by the rate of the class among *other* patients of the
    same category, so that a category that only one patient has says nothing about that patient.
    """
    tests = len(found) * sum(len(units.asked_classes()) for units in tasks)
    findings: list[Finding] = []
    for units in tasks:
        if len(np.unique(units.patients)) < FEWEST:
            continue
        for candidate in found:
            findings += _judge(units, candidate, FALSE_ALARMS / max(1, tests))
    return findings


def renamed_answers(study: Study, found: Sequence[Candidate]) -> list[Finding]:
    """Find table columns that are a task's labels under other names, one value a class."""
    findings = []
    for name, task in study.tasks.items():
        codes = study.label_codes(name)
        for candidate in found:
            if candidate.source == "table" and candidate.categories and _one_to_one(study, codes, candidate):
                message = (
                    f"has one value for each class of '{name}': the answer under another name; leave the column out"
                )
                details = {"task": name, "classes": list(task.classes), "values": list(candidate.categories)}
                findings.append(Finding("warning", "answer-in-table", candidate.name, message, details))
    return findings


def deciding_values(
    tasks: Sequence[TaskUnits], found: Sequence[Candidate], given_away: Sequence[Finding] = ()
) -> list[Finding]:
    """Find values of a category whose patients all have one class, where chance would hardly make them.

    By chance, all `m` patients of a value are of a class that a share `s` of all patients has with probability `s^m`.

    Args:
        tasks: units of each task.
        found: candidates; those that models are given, or that describe samples, are looked at.
        given_away: findings that say more of the same candidates already.
    """
    told = {(f.where, f.details.get("task")) for f in given_away}
    asked = [c for c in found if c.source in ("table", "samples") and c.categories is not None]
    tests = max(1, sum(len(c.categories or ()) for c in asked) * sum(len(u.asked_classes()) for u in tasks))
    findings: list[Finding] = []
    for units in tasks:
        for candidate in asked:
            decided = _decided(units, candidate, FALSE_ALARMS / tests)
            if decided and (candidate.name, units.task) not in told:
                shown = ", ".join(f"'{v}' always '{c}' ({counted(n, 'patient')})" for v, c, n in decided[:MOST_LISTED])
                message = f"has values that decide task '{units.task}': {shown}: {ADVICE[candidate.source]}"
                details = {"task": units.task, "values": {v: {"class": c, "patients": n} for v, c, n in decided}}
                findings.append(Finding("note", "deciding-value", candidate.name, message, details))
    return findings


def _decided(units: TaskUnits, candidate: Candidate, alpha: float) -> list[tuple[str, str, int]]:
    """Return value, class and patients of each value that decides the task beyond chance."""
    shares = units.shares(candidate.codes)
    pairs = pd.DataFrame(
        {
            "category": shares.categories,
            "label": units.labels[shares.units],
            "patient": units.patients[shares.units],
        }
    ).drop_duplicates()
    everyone = pd.DataFrame({"label": units.labels, "patient": units.patients}).drop_duplicates()
    share_of = everyone["label"].value_counts() / everyone["patient"].nunique()
    decided = []
    for category, rows in pairs.groupby("category"):
        patients, label = rows["patient"].nunique(), int(rows["label"].iloc[0])
        if rows["label"].nunique() == 1 and patients >= FEWEST and min(share_of[label], 1) ** patients < alpha:
            decided.append(((candidate.categories or ())[int(str(category))], units.classes[label], int(patients)))
    return decided


def separations(units: TaskUnits, candidate: Candidate) -> dict[str, Separation]:
    """Return class -> how well the candidate tells it from the rest; classes with fewer than two units are left out."""
    numbers = None if candidate.categories else units.means(candidate.values.astype(np.float64))
    ranks = None if numbers is None else _ranks(numbers)
    found = {}
    for code in units.asked_classes():
        own = units.labels == code
        scores = _rates(units, candidate, own) if numbers is None else numbers
        known = np.isfinite(scores)
        if min(own[known].sum(), (~own[known]).sum()) < 2:
            continue
        auroc = _auroc((_ranks(scores) if ranks is None else ranks)[known], own[known])
        if numbers is not None:
            auroc = max(auroc, 1 - auroc)
        p = _p_value(scores[known], own[known], units.patients[known]) if auroc >= SUSPICIOUS else 1.0
        found[units.classes[code]] = Separation(auroc, p)
    return found


def _judge(units: TaskUnits, candidate: Candidate, alpha: float) -> Iterator[Finding]:
    beyond_chance = {c: s for c, s in separations(units, candidate).items() if s.p < alpha}
    if not beyond_chance:
        return
    label, best = max(beyond_chance.items(), key=lambda item: item[1].auroc)
    aurocs = {c: round(s.auroc, 4) for c, s in beyond_chance.items()}
    details = {"task": units.task, "source": candidate.source, "auroc": aurocs, "p": best.p}
    if best.auroc >= GIVEN_AWAY:
        severity, check = CHECKS.get(candidate.source, GIVES_AWAY)
        message = f"alone tells '{label}' of task '{units.task}' from the rest (AUROC {best.auroc:.2f}): "
        yield Finding(severity, check, candidate.name, message + ADVICE[candidate.source], details)
    elif candidate.source == "samples" and candidate.categories is None:
        message = f"goes with task '{units.task}' (AUROC {best.auroc:.2f} for '{label}'): "
        yield Finding("note", "confounded", candidate.name, message + ADVICE["samples"], details)
    elif candidate.source == "table" and best.auroc >= STRONG:
        message = f"alone goes far in task '{units.task}' (AUROC {best.auroc:.2f} for '{label}'): "
        yield Finding("note", "strong-column", candidate.name, message + ADVICE["table"], details)


def _rates(units: TaskUnits, candidate: Candidate, own: NDArray[np.bool_]) -> Floats:
    """Return (U,) the rate of a class in a unit's categories among other patients, shrunk to the overall rate."""
    shares = units.shares(candidate.codes)
    hits = shares.weights * own[shares.units]
    by_patient = units.patients[shares.units] * (shares.categories.max() + 1) + shares.categories
    others = _sum_by(shares.categories, shares.weights) - _sum_by(by_patient, shares.weights)
    other_hits = _sum_by(shares.categories, hits) - _sum_by(by_patient, hits)
    rate = (np.maximum(other_hits, 0) + own.mean()) / (np.maximum(others, 0) + 1)
    means = np.bincount(shares.units, weights=shares.weights * rate, minlength=len(units))
    return np.asarray(means.round(12))  # equal rates stay equal, whatever the order of their sums


def _sum_by(groups: NDArray[np.int64], values: Floats) -> Floats:
    """Return for each entry the sum over its group."""
    _, inverse = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(inverse, weights=values)[inverse])


def _ranks(scores: Floats) -> Floats:
    """Return the ranks of the finite scores, ties sharing theirs; NaN stays NaN."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores, nan_policy="omit"))


def _auroc(ranks: Floats, own: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, ties counting half (Mann-Whitney)."""
    positives = int(own.sum())
    above = ranks[own].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(own) - positives)))


def _p_value(scores: Floats, own: NDArray[np.bool_], patients: NDArray[np.int64]) -> float:
    """Return the Mann-Whitney p of the patients' means within and without the class.

    Samples of a patient are no independent witnesses: each patient speaks once on each side.
    """
    from scipy.stats import mannwhitneyu

    within, without = (
        pd.Series(scores[side]).groupby(patients[side]).mean().to_numpy(dtype=np.float64) for side in (own, ~own)
    )
    return float(mannwhitneyu(within, without).pvalue)


def _one_to_one(study: Study, codes: NDArray[np.int64], candidate: Candidate) -> bool:
    known = np.array([c != MISSING for c in candidate.categories or ()])[candidate.codes]
    use = (codes >= 0) & known
    if len(set(study.patients[use])) < FEWEST:
        return False
    pairs = np.unique(np.column_stack([candidate.codes[use], codes[use]]), axis=0)
    return 2 <= len(pairs) == len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1]))
