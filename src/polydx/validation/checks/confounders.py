"""Descriptions of the samples that go with a task without deciding it: tissue type, centre, sex.

Shapes: `U` units of the task, `C` categories, `K` classes, `P` patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.validation.checks.candidates import Candidate
from polydx.validation.checks.findings import Finding
from polydx.validation.checks.giveaways import FALSE_ALARMS, FEWEST
from polydx.validation.checks.units import TaskUnits

Floats = NDArray[np.float64]

STRONG = 0.25  # Cramer's V
FEW_PATIENTS = 5  # a category with fewer is put together with the other rare ones
DESCRIPTIVE = ("samples", "missing", "quality")
MOST_CATEGORIES = 30  # the most common ones; memory is their number times that of the classes
SHOWN = 6


def confounders(
    tasks: Sequence[TaskUnits], found: Sequence[Candidate], given_away: Sequence[Finding] = ()
) -> list[Finding]:
    """Note categories that go with a task: Cramer's V of at least 0.25, and unlikely by chance among patients.

    Args:
        tasks: units of each task.
        found: candidates; only categories that describe samples, not those of tables, which are meant to tell.
        given_away: findings that say more of the same candidates already.
    """
    told = {(f.where, f.details.get("task")) for f in given_away}
    described = [c for c in found if c.source in DESCRIPTIVE and c.categories is not None]
    alpha = FALSE_ALARMS / max(1, len(described) * len(tasks))
    return [
        finding
        for units in tasks
        if len(np.unique(units.patients)) >= FEWEST
        for candidate in described
        if (candidate.name, units.task) not in told
        for finding in _judge(units, candidate, alpha)
    ]


def _judge(units: TaskUnits, candidate: Candidate, alpha: float) -> Iterator[Finding]:
    names, indicators = _indicators(units, candidate)
    present = np.unique(units.labels)
    if len(names) < 2 or len(present) < 2:
        return
    truth = (units.labels[:, None] == present).astype(np.float64)
    strength = cramers_v(indicators.T @ truth)
    p = independence_p(indicators, truth, units.patients)
    if strength < STRONG or p >= alpha:
        return
    classes = [units.classes[code] for code in present]
    shares = _shares(names, classes, indicators.T @ truth)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{label} {share:.0%}" for label, share in row.items())
        for name, row in list(shares.items())[:SHOWN]
    )
    message = (
        f"goes with task '{units.task}' (Cramer's V {strength:.2f}; {told}): a model may learn it in place of the "
        "answer; report figures within each value, or balance it"
    )
    details = {"task": units.task, "cramers_v": strength, "p": p, "shares": shares}
    yield Finding("note", "confounded", candidate.name, message, details)


def cramers_v(table: Floats) -> float:
    """Return Cramer's V of a (C, K) table of counts: 0 for independence, 1 where one decides the other.

    Reference: Cramer (1946), Mathematical Methods of Statistics, section 21.9.
    """
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    squared = (np.square(table - expected)[expected > 0] / expected[expected > 0]).sum() / total
    return float(np.sqrt(squared / (min(table.shape) - 1)))


def independence_p(indicators: Floats, truth: Floats, patients: NDArray[np.int64]) -> float:
    """Return the p of "independent" from a score test whose unit is the patient.

    The covariances of categories and classes are summed within patients, and the variance is that between patients,
    so that many samples of a patient are not taken for many witnesses. With one unit a patient it agrees with
    Pearson's chi-square in large samples. Reference: Boos (1992), The American Statistician 46, 327-333.

    Args:
        indicators: (U, C) share of each unit in each category.
        truth: (U, K) 1 for the class of the unit.
        patients: (U,) patient codes.
    """
    from scipy.stats import chi2

    left, right = (part[:, 1:] - part[:, 1:].mean(axis=0) for part in (indicators, truth))
    _, codes = np.unique(patients, return_inverse=True)
    products = np.einsum("uc,uk->uck", left, right).reshape(len(left), -1)
    scores = np.zeros((int(codes.max()) + 1, products.shape[1]))
    np.add.at(scores, codes, products)
    ones = np.ones(len(scores))
    weights, _, rank, _ = np.linalg.lstsq(scores, ones, rcond=None)
    return float(chi2.sf(float((scores @ weights).sum()), max(1, int(rank))))


def _indicators(units: TaskUnits, candidate: Candidate) -> tuple[list[str], Floats]:
    """Return category names and (U, C) shares; the rare ones are one, or left out if still too few."""
    shares, categories = units.shares(candidate.codes), candidate.categories or ()
    pairs = np.unique(np.column_stack([shares.categories, units.patients[shares.units]]), axis=0)
    patients = np.bincount(pairs[:, 0], minlength=len(categories))
    common = np.sort(np.argsort(-patients, kind="stable")[: min(MOST_CATEGORIES, (patients >= FEW_PATIENTS).sum())])
    number = np.full(len(categories), len(common))
    number[common] = np.arange(len(common))
    table = np.zeros((len(units), len(common) + 1))
    np.add.at(table, (shares.units, number[shares.categories]), shares.weights)
    names = [categories[i] for i in common]
    if len(set(units.patients[table[:, -1] > 0])) < FEW_PATIENTS:
        return names, table[:, :-1]
    return [*names, "others"], table


def _shares(names: list[str], classes: list[str], table: Floats) -> dict[str, dict[str, Any]]:
    """Return category -> class -> share of the category's units."""
    shares = table / table.sum(axis=1, keepdims=True)
    return {
        name: {label: float(round(share, 4)) for label, share in zip(classes, row, strict=True)}
        for name, row in zip(names, shares, strict=True)
    }
