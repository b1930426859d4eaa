"""Is one recipe better than another on the same patients? The declared primary endpoint, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polydx.validation.bootstrap import bootstrap_interval, bootstrap_p, sampling
from polydx.validation.delong import delong
from polydx.validation.intervals import tango_difference, z_value
from polydx.validation.measure import Measured, Resampling

Floats = NDArray[np.float64]


class Difference(NamedTuple):
    """Metric of `a` less that of `b`, with its 95 % interval, p and the test; a None has its `reason`."""

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    test: str | None
    reason: str | None = None
    n_common: int | None = None  # units that both answer, where they do not answer the same ones


def no_difference(reason: str) -> Difference:
    """Return a difference that could not be computed."""
    return Difference(None, None, None, None, None, reason)


def compare(a: Measured, b: Measured, metric: str) -> Difference:
    """Test the difference of a metric between two recipes measured on the same units under the same resamples.

    Two-class AUROC over patients: DeLong's paired test on the means over seeds. Accuracy over patients with one seed
    each: McNemar's exact test. Everything else, and accuracy over several seeds (a vote over seeds would be another
    recipe, an ensemble): the paired patient bootstrap.
    """
    if np.isnan(a.seeds.overall[metric]).any() or np.isnan(b.seeds.overall[metric]).any():
        return no_difference(f"{metric} is not defined for both recipes")
    over_patients = a.outcomes.one_unit_a_patient and a.complete and b.complete
    if over_patients and metric == "auroc" and a.outcomes.positive is not None:
        return _delong(a, b, a.outcomes.positive)
    if over_patients and metric == "accuracy" and len(a.decisions) == len(b.decisions) == 1:
        return _mcnemar(a, b)
    return _bootstrap(a, b, metric)


def compare_in_common(a: Measured, b: Measured, metric: str, resampling: Resampling) -> Difference:
    """Test the difference of a metric on the units that both recipes answer."""
    pair = resampling.in_common([a, b])
    if not pair:
        return no_difference(f"no {'patient' if a.outcomes.one_unit_a_patient else 'sample'} is answered by both")
    found = compare(pair[0], pair[1], metric)
    same = len(pair[0].outcomes) == len(a.outcomes) == len(b.outcomes)
    return found if same else found._replace(n_common=len(pair[0].outcomes))


def _delong(a: Measured, b: Measured, positive: int) -> Difference:
    from scipy.stats import norm

    scores = [a.scores(positive), b.scores(positive)]
    contrast = np.concatenate([np.full(len(s), sign / len(s)) for s, sign in zip(scores, (1, -1), strict=True)])
    difference, error = delong(np.concatenate(scores), a.outcomes.labels == positive).contrast(contrast)
    if np.isnan(error):
        return Difference(difference, None, None, None, "delong", "a class has one patient: no variance to test by")
    if error == 0:
        same = difference == 0
        reason = "both order the patients alike" if same else "no patient's rank varies: no variance to test by"
        return Difference(difference, None, None, 1.0 if same else None, "delong", reason)
    half = z_value() * error
    p = 2 * float(norm.sf(abs(difference) / error))
    return Difference(difference, max(-1.0, difference - half), min(1.0, difference + half), p, "delong")


def _mcnemar(a: Measured, b: Measured) -> Difference:
    right_a, right_b = (m.decisions[0] == m.outcomes.labels for m in (a, b))
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    low, high = tango_difference(only_a, only_b, len(right_a))
    return Difference((only_a - only_b) / len(right_a), low, high, mcnemar_exact(only_a, only_b), "mcnemar")


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of McNemar's test on the patients that only one has right."""
    from scipy.stats import binomtest

    discordant = only_a + only_b
    return float(binomtest(only_a, discordant).pvalue) if discordant else 1.0


def _bootstrap(a: Measured, b: Measured, metric: str) -> Difference:
    difference = float(a.seeds.overall[metric].mean() - b.seeds.overall[metric].mean())
    draws = a.draws.overall[metric] - b.draws.overall[metric]
    defined = draws[~np.isnan(draws)]
    if len(defined) <= len(draws) / 2:
        reason = f"not defined in {len(draws) - len(defined)} of {len(draws)} resamples"
        return Difference(difference, None, None, None, "bootstrap", reason)
    if np.ptp(defined) <= 1e-12:
        p = 1.0 if abs(difference) <= 1e-12 else None
        return Difference(difference, None, None, p, "bootstrap", "all resamples give the same difference")
    left_out = a.left_out.overall[metric] - b.left_out.overall[metric]
    found = sampling(difference, defined, left_out, a.omitted)
    return Difference(difference, *bootstrap_interval(defined, found), bootstrap_p(defined, found), "bootstrap")


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return p adjusted by Holm's step-down method (1979); a test without p counts among the tests."""
    order = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * p))
        adjusted[i] = highest
    return adjusted


def compare_primary(
    primary: Mapping[str, Any],
    measured: Mapping[str, Measured],
    recipes: Sequence[str],
    absent: str,
    resampling: Resampling,
) -> list[dict[str, Any]]:
    """Return the comparisons of the primary endpoint, adjusted by Holm's method.

    Args:
        primary: `recipe`, `versus` (a name, names, or None for all others), `task`, `level`, `metric`.
        measured: recipe -> its metrics at that task and level.
        recipes: all recipes of the run.
        absent: why a recipe may be missing from `measured`.
        resampling: of patients, for recipes that do not answer the same ones: they are compared on those both answer.
    """
    own, versus = primary["recipe"], primary.get("versus")
    others = [r for r in recipes if r != own] if versus is None else [versus] if isinstance(versus, str) else versus
    found = []
    for other in others:
        lacking = [r for r in (own, other) if r not in measured]
        unknown = [r for r in lacking if r not in recipes]
        if unknown:
            found.append(no_difference(f"the run has no recipe '{unknown[0]}'"))
        elif lacking:
            found.append(no_difference(absent or f"recipe '{lacking[0]}' does not predict this task"))
        else:
            found.append(compare_in_common(measured[own], measured[other], primary["metric"], resampling))
    named = {key: primary[key] for key in ("task", "level", "metric")}
    return [
        _entry(named | {"a": own, "b": other}, difference, adjusted)
        for other, difference, adjusted in zip(others, found, holm([d.p for d in found]), strict=True)
    ]


def _entry(named: dict[str, Any], found: Difference, adjusted: float | None) -> dict[str, Any]:
    entry = named | {"difference": found.difference, "low": found.low, "high": found.high, "p": found.p}
    entry |= {"p_holm": adjusted, "test": found.test}
    entry |= {} if found.n_common is None else {"n_common": found.n_common}
    return entry if found.reason is None else entry | {"reason": found.reason}
