"""Cohorts of predictions with known truth: patients with several samples each, and one or more recipes' probabilities.

A sample's logits are those of its class, plus what is peculiar to the patient, plus noise:
`separation [k = y] + spread u_pk + e_ik`, turned into probabilities that are calibrated for samples. Truth is every
metric over a population of 200,000 patients. Shapes: `P` patients, `S` samples each, `N = P S`, `K` classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
from scipy.special import ndtri, softmax

from polydx.validation.bootstrap import draw_patients, patient_strata
from polydx.validation.measure import WITHIN_PATIENT, Measured, measure
from polydx.validation.metrics import weighted_metrics
from polydx.validation.outcomes import Outcomes

SAMPLES = 5
SPREAD = 1.0  # of patients, in units of the noise between samples of one patient
SHARED = 0.5  # share of the variance that two recipes have in common
POPULATION = 200_000


@dataclass(frozen=True)
class Cell:
    """One kind of cohort.

    Attributes:
        patients: P.
        shares: of the classes among them; two for a task with a positive class.
        aurocs: of each recipe, for patients, about; the truth that coverage is judged by is computed, not this.
        recruited: "by class" (so many of each) or "as they come" (the number of each class is itself drawn).
    """

    patients: int
    shares: tuple[float, ...] = (0.5, 0.5)
    aurocs: tuple[float, ...] = (0.85,)
    recruited: str = "by class"

    @property
    def recipes(self) -> list[str]:
        return [f"r{i}" for i in range(len(self.aurocs))]

    def labels(self, patients: int, rng: np.random.Generator) -> np.ndarray:
        """(P,) classes; at least two patients of each."""
        if self.recruited == "as they come":
            drawn = rng.choice(len(self.shares), size=patients, p=self.shares)
            enough = np.bincount(drawn, minlength=len(self.shares)).min() >= 2
            return np.sort(drawn) if enough else self.labels(patients, rng)
        ends = np.round(np.cumsum(self.shares) * patients).astype(int)
        return np.searchsorted(ends, np.arange(patients), side="right")

    def seeded(self, number: int) -> np.random.Generator:
        """Return the generator of one cohort of this cell."""
        return np.random.default_rng([number, *repr(self).encode()])


def draw(cell: Cell, rng: np.random.Generator, patients: int | None = None) -> Outcomes:
    """Return the predictions of all recipes for one cohort, one unit a sample."""
    count, classes = patients or cell.patients, len(cell.shares)
    labels = cell.labels(count, rng)
    owner = np.repeat(np.arange(count), SAMPLES)

    def noise() -> np.ndarray:
        return SPREAD * rng.normal(size=(count, classes))[owner] + rng.normal(size=(len(owner), classes))

    common, truth, probabilities = noise(), np.eye(classes)[labels[owner]], {}
    for recipe, auroc in zip(cell.recipes, cell.aurocs, strict=True):
        separation = ndtri(auroc) * np.sqrt(SPREAD**2 + 1 / SAMPLES)
        own = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * noise()
        logits = separation / (SPREAD**2 + 1) * (separation * truth + own)
        probabilities[recipe] = softmax(logits, axis=1)[None]
    return Outcomes(
        name="task",
        classes=tuple(f"c{k}" for k in range(classes)),
        level="patient",
        positive=1 if classes == 2 else None,
        units=np.arange(len(owner)).astype(object),
        patients=owner,
        patient_names=np.arange(count).astype(object),
        labels=labels[owner],
        seeds=dict.fromkeys(cell.recipes, (0,)),
        probabilities=probabilities,
        thresholds={recipe: np.full((1, len(owner)), 0.5) for recipe in cell.recipes},
    )


def truths(cell: Cell, population: int = POPULATION) -> dict[tuple[str, str, str], float]:
    """Return (recipe, level, metric) -> value in the population; ranking and rates only, no calibration slope."""
    fixed = replace(cell, recruited="by class")
    samples = draw(fixed, fixed.seeded(-1 % 2**32), population)
    found = {}
    with without_slopes():
        for level, units in (("sample", samples), ("patient", samples.to_patients())):
            for recipe in cell.recipes:
                p = units.probabilities[recipe][0]
                overall = weighted_metrics(p, units.labels, np.ones((1, len(units))), positive=units.positive).overall
                overall[WITHIN_PATIENT] = overall["accuracy"]  # all patients have as many samples
                found |= {(recipe, level, name): float(value[0]) for name, value in overall.items()}
    return found


def measured(units: Outcomes, resamples: int, rng: np.random.Generator) -> dict[str, Measured]:
    """Return each recipe's metrics under one set of resamples, as `score_predictions` makes them."""
    weights = draw_patients(patient_strata(units.labels, units.patients, len(units.classes)), resamples, rng)
    return {recipe: measure(units, recipe, weights) for recipe in units.recipes}


def ignoring_patients(samples: Outcomes) -> Outcomes:
    """Return the same predictions as if each sample came from a patient of its own."""
    return replace(samples, patients=np.arange(len(samples)), patient_names=samples.units)


@contextmanager
def without_slopes() -> Iterator[None]:
    """Leave out calibration slopes, which take most of the time and are not looked at here."""

    def undefined(_: object, __: object, weights: np.ndarray, *___: object, **____: object) -> Sequence[np.ndarray]:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)

    with patch("polydx.validation.metrics.weighted_recalibration", undefined):
        yield
