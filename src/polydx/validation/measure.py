"""One recipe on one set of units: each seed's metrics, and their mean under every resample of patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polydx.study import IntArray
from polydx.validation.bootstrap import draw_patients, leave_out, patient_strata
from polydx.validation.clusters import sum_by_cluster
from polydx.validation.metrics import Scores, decide, weighted_metrics
from polydx.validation.outcomes import Outcomes

Floats = NDArray[np.float64]

WITHIN_PATIENT = "mean_within_patient_accuracy"
NOT_TESTED = -1
GRID = 256  # logits that the resampled calibration slope is computed on; the estimate itself is exact


@dataclass(frozen=True)
class Measured:
    """Metrics of one recipe, ready for intervals and comparisons.

    Attributes:
        outcomes: labelled units; one a patient at patient level.
        recipe: whose predictions.
        decisions: (S, N) decided classes, -1 where a seed did not test the unit.
        seeds: metrics of each seed, (S,) overall and (S, K) per class.
        draws: mean over seeds under each resample, (R,) overall and (R, K) per class.
        left_out: the same with some patients omitted, (M,) and (M, K); see `leave_out`.
        omitted: (M,) the stratum that they are omitted from.
    """

    outcomes: Outcomes
    recipe: str
    decisions: IntArray
    seeds: Scores
    draws: Scores
    left_out: Scores
    omitted: IntArray

    @property
    def complete(self) -> bool:
        """True where every seed tested every unit, so that closed forms hold."""
        return bool((self.decisions != NOT_TESTED).all())

    def scores(self, code: int) -> Floats:
        """(S, N) probability of a class."""
        return self.outcomes.probabilities[self.recipe][:, :, code]


@dataclass(frozen=True)
class Resampling:
    """How often patients are drawn, and from which stream: the same units give the same draws, which pairs recipes.

    Attributes:
        resamples: R.
        stream: seeds of the generator.
    """

    resamples: int
    stream: tuple[int, ...]

    def weights(self, outcomes: Outcomes) -> Floats:
        """Return (R, P) how often each patient of labelled units is drawn, stratified by class."""
        strata = patient_strata(outcomes.labels, outcomes.patients, len(outcomes.classes))
        return draw_patients(strata, self.resamples, np.random.default_rng(self.stream))

    def measure(self, outcomes: Outcomes, recipes: Sequence[str]) -> dict[str, Measured]:
        """Return recipe -> its metrics on the units that it answers; recipes that answer the same share their draws."""
        found: dict[str, Measured] = {}
        drawn: dict[bytes, tuple[Outcomes, Floats]] = {}
        for recipe in recipes:
            mask = outcomes.tested(recipe).any(axis=0).tobytes()
            if mask not in drawn:
                own = outcomes.of(recipe)
                drawn[mask] = own, self.weights(own)
            found[recipe] = measure(drawn[mask][0], recipe, drawn[mask][1])
        return found

    def in_common(self, each: Sequence[Measured]) -> list[Measured]:
        """Return the same recipes on the units that all of them answer; an empty list where there are none."""
        units = [m.outcomes.units for m in each]
        if all(np.array_equal(own, units[0]) for own in units[1:]):
            return list(each)
        common = np.logical_and.reduce([np.isin(units[0], own) for own in units[1:]])
        if not common.any():
            return []
        own = each[0].outcomes.take(common)
        weights = self.weights(own)
        return [measure(own, m.recipe, weights) for m in each]


def measure(outcomes: Outcomes, recipe: str, weights: Floats) -> Measured:
    """Return all metrics of a recipe.

    Args:
        outcomes: labelled units, at least one.
        recipe: one of theirs.
        weights: (R, P) how often each patient is drawn; the same for all seeds and recipes, which pairs them.
    """
    everyone = np.ones((1, len(outcomes.patient_names)))
    without, omitted = leave_out(patient_strata(outcomes.labels, outcomes.patients, len(outcomes.classes)))
    varied = np.concatenate([without, weights])
    probabilities, tested = outcomes.probabilities[recipe], outcomes.tested(recipe)
    decisions = np.full(tested.shape, NOT_TESTED, dtype=np.int64)
    exact: list[Scores] = []
    drawn: list[Scores] = []
    for s, there in enumerate(tested):
        p, labels, patients = probabilities[s, there], outcomes.labels[there], outcomes.patients[there]
        thresholds = outcomes.thresholds[recipe][s, there]
        decisions[s, there] = decide(p, outcomes.positive, thresholds)
        right = (decisions[s, there] == labels).astype(np.float64)
        for into, w, nodes in ((exact, everyone, None), (drawn, varied, GRID)):
            found = weighted_metrics(
                p, labels, w, positive=outcomes.positive, thresholds=thresholds, clusters=patients, nodes=nodes
            )
            found.overall[WITHIN_PATIENT] = within_patient_accuracy(right, w, patients)
            into.append(found)
    left_out, draws = _cut(_mean(drawn), len(without))
    return Measured(outcomes, recipe, decisions, _stack(exact), draws, left_out, omitted)


def within_patient_accuracy(right: Floats, weights: Floats, patients: IntArray) -> Floats:
    """Return (R,) mean over patients of the share of a patient's samples that are right.

    Args:
        right: (N,) 1 where the decision is right.
        weights: (R, P) weights of patients.
        patients: (N,) patient codes.
    """
    hits, counts = sum_by_cluster(np.column_stack([right, np.ones_like(right)]), patients, weights.shape[1]).T
    there = counts > 0
    with np.errstate(invalid="ignore"):
        share = weights[:, there] @ (hits[there] / counts[there])
        return np.asarray(share / weights[:, there].sum(axis=1))


def _stack(each: list[Scores]) -> Scores:
    overall = {name: np.concatenate([s.overall[name] for s in each]) for name in each[0].overall}
    return Scores(overall, {name: np.concatenate([s.per_class[name] for s in each]) for name in each[0].per_class})


def _mean(each: list[Scores]) -> Scores:
    overall = {name: np.mean([s.overall[name] for s in each], axis=0) for name in each[0].overall}
    return Scores(overall, {name: np.mean([s.per_class[name] for s in each], axis=0) for name in each[0].per_class})


def _cut(scores: Scores, rows: int) -> tuple[Scores, Scores]:
    """Return the first rows, and the others."""
    parts = [
        Scores({n: v[own] for n, v in scores.overall.items()}, {n: v[own] for n, v in scores.per_class.items()})
        for own in (slice(rows), slice(rows, None))
    ]
    return parts[0], parts[1]
