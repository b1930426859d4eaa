"""How good a recipe of several modalities is without some of them: figures, losses, and who loses less.

Everything is paired: a scenario is compared with the complete samples on the units that both answer, under the same
resamples of patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.study import IntArray, Task
from polydx.validation.bootstrap import bootstrap_interval, sampling
from polydx.validation.comparisons import compare_in_common
from polydx.validation.figures import figure
from polydx.validation.measure import Measured, Resampling
from polydx.validation.metrics import ERRORS
from polydx.validation.outcomes import Outcomes
from polydx.validation.scenarios import AT_RANDOM
from polydx.validation.scores import LEVELS, Level, measure_level, tasks_to_score, units_at
from polydx.validation.table import read_outcomes

Floats = NDArray[np.float64]

COMPLETE = "complete"
FIGURES = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "brier")
SURE = 0.975  # share of resamples in which a loss must be above 0 for a ratio to it to have bounds


def missing_figures(
    predictions: pd.DataFrame, scenarios: pd.DataFrame, tasks: Mapping[str, Task], *, resamples: int, seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return recipe -> task -> `scenarios` and `availability` of metrics.json, for recipes of several modalities.

    Args:
        predictions: the predictions table.
        scenarios: the same with a `scenario`, for samples that modalities were taken from; may be empty.
        tasks: the study's tasks.
        resamples: of patients.
        seed: of the resampling.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for recipe, own in predictions.groupby("recipe", sort=False):
        if len({name for listed in own["modalities"] for name in listed}) < 2:
            continue
        taken = scenarios[scenarios["recipe"] == recipe] if len(scenarios) else own.iloc[:0].assign(scenario="")
        table = pd.concat([own.assign(recipe=COMPLETE), taken.assign(recipe=taken["scenario"])], ignore_index=True)
        patterns = _patterns(own)
        found[str(recipe)] = {
            name: {
                "scenarios": _scenarios(outcomes, list(taken["scenario"].unique()), resamples, seed),
                "availability": _availability(outcomes, patterns, resamples, seed),
            }
            for name, (outcomes, _) in tasks_to_score(read_outcomes(table, tasks), tasks).items()
            if outcomes is not None
        }
    return found


def _scenarios(outcomes: Outcomes, names: Sequence[str], resamples: int, seed: int) -> dict[str, Any]:
    """Return scenario -> level -> figures and their `difference` from those of the complete samples."""
    levels = {level: measure_level(outcomes, level, resamples, seed) for level in LEVELS} if names else {}
    return {name: {k: v for level, at in levels.items() for k, v in _at(level, at, name).items()} for name in names}


def _at(level: str, at: Level, scenario: str) -> dict[str, Any]:
    if scenario not in at.measured or COMPLETE not in at.measured:
        return {level: None, f"{level}_reason": at.reason or f"no {level} with a label has anything left"}
    own, complete = at.measured[scenario], at.measured[COMPLETE]
    differences = {}
    for metric in FIGURES:
        told = compare_in_common(own, complete, metric, at.resampling)
        entry = {"estimate": told.difference, "low": told.low, "high": told.high, "p": told.p, "test": told.test}
        differences[metric] = entry if told.reason is None else entry | {"reason": told.reason}
    return {level: _figures(own) | {"difference": differences}}


def _figures(measured: Measured) -> dict[str, Any]:
    counts = {"n": len(measured.outcomes), "n_patients": len(measured.outcomes.patient_names)}
    return counts | {metric: figure(measured, metric) for metric in FIGURES}


def _patterns(own: pd.DataFrame) -> pd.DataFrame:
    """Return `sample`, `patient` and `modalities`, one row a sample."""
    return own.drop_duplicates("sample")[["sample", "patient", "modalities"]]


def _availability(outcomes: Outcomes, patterns: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Return pattern -> level -> figures of the units that have just these modalities, the most frequent first.

    A patient has the modalities that any of their samples has.
    """
    found: dict[str, Any] = {}
    for level in LEVELS:
        units, _ = units_at(outcomes, level)
        there = units.of(COMPLETE) if units is not None and COMPLETE in units.recipes else None
        if there is None:
            continue
        named = pattern_of(patterns, "patient" if level == "patient" else "sample")
        own = np.array([named[str(unit)] for unit in there.units], dtype=object)
        for pattern in pd.Series(own).value_counts().index:
            chosen = there.take(np.asarray(own == pattern))
            stream = seed, crc32(f"{outcomes.name}/{level}/{pattern}".encode())
            measured = Resampling(resamples, stream).measure(chosen, [COMPLETE])[COMPLETE]
            found.setdefault(str(pattern), {})[level] = _figures(measured)
    return found


def pattern_of(patterns: pd.DataFrame, by: str) -> dict[str, str]:
    """Return sample or patient -> its modalities in one string, 'image+raman'."""
    together: dict[str, set[str]] = {}
    for unit, listed in zip(patterns[by].astype(str), patterns["modalities"], strict=True):
        together.setdefault(unit, set()).update(listed)
    return {unit: "+".join(sorted(names)) for unit, names in together.items()}


def scenario_losses(
    predictions: pd.DataFrame,
    scenarios: pd.DataFrame,
    tasks: Mapping[str, Task],
    *,
    resamples: int,
    seed: int,
    primary: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """Return who loses less where modalities are missing at random: the `scenario_losses` of metrics.json.

    The recipe of the declared endpoint against each other one of several modalities that it is compared with, on the
    units that both answer. A loss is what the metric is worse than with all modalities; `half` is the loss of `a` less
    half the loss of `b`, so that `a` loses less than half of what `b` loses where its interval lies below 0.
    """
    if primary is None or not len(scenarios):
        return []
    versus = primary.get("versus")
    asked = [versus] if isinstance(versus, str) else versus
    names = [str(r) for r in scenarios["recipe"].unique()]
    a = primary["recipe"]
    others = [r for r in names if r != a and (asked is None or r in asked)]
    if a not in names:
        return []
    return [
        _loss(entry, predictions, scenarios, tasks, resamples, seed)
        for scenario in (s for s in scenarios["scenario"].unique() if s.startswith(AT_RANDOM))
        for b in others
        for entry in [{"scenario": scenario, **{k: primary[k] for k in ("task", "level", "metric")}, "a": a, "b": b}]
    ]


def _loss(
    entry: dict[str, Any],
    predictions: pd.DataFrame,
    scenarios: pd.DataFrame,
    tasks: Mapping[str, Task],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    pair, scenario = [entry["a"], entry["b"]], entry["scenario"]
    robbed = scenarios[scenarios["recipe"].isin(pair) & (scenarios["scenario"] == scenario)]
    table = pd.concat(
        [
            own.assign(recipe=own["recipe"] + f"|{what}")
            for own, what in ((predictions[predictions["recipe"].isin(pair)], COMPLETE), (robbed, scenario))
        ],
        ignore_index=True,
    )
    outcomes, reason = tasks_to_score(read_outcomes(table, tasks), tasks)[entry["task"]]
    at = Level({}, reason) if outcomes is None else measure_level(outcomes, entry["level"], resamples, seed)
    wanted = [f"{recipe}|{what}" for recipe in pair for what in (COMPLETE, scenario)]
    each = at.resampling.in_common([at.measured[w] for w in wanted]) if set(wanted) <= set(at.measured) else []
    if not each:
        return entry | {"n": 0, "reason": at.reason or "no unit is answered by both with and without all modalities"}
    if any(np.isnan(m.seeds.overall[entry["metric"]]).any() for m in each):
        return entry | {"n": len(each[0].outcomes), "reason": f"{entry['metric']} is not defined for all of them"}
    return entry | {"n": len(each[0].outcomes)} | dict(_losses(each, entry["metric"]))


def _losses(each: Sequence[Measured], metric: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the losses and what is made of them; `each` is a and b, each complete and robbed."""
    sign = -1.0 if metric in ERRORS else 1.0
    figures = [
        [m.seeds.overall[metric].mean() for m in each],
        [m.draws.overall[metric] for m in each],
        [m.left_out.overall[metric] for m in each],
    ]
    a, b = ([sign * (values[i] - values[i + 1]) for values in figures] for i in (0, 2))
    omitted = each[0].omitted
    yield "loss_a", _interval(a, omitted)
    yield "loss_b", _interval(b, omitted)
    yield "difference", _interval([x - y for x, y in zip(a, b, strict=True)], omitted)
    yield "half", _interval([x - y / 2 for x, y in zip(a, b, strict=True)], omitted)
    yield "ratio", _ratio(a, b)


def _interval(values: Sequence[Any], omitted: IntArray) -> dict[str, Any]:
    """Return an estimate with its interval, from the estimate, its resamples, and what it is without some patients."""
    estimate, draws, left_out = values
    defined = draws[~np.isnan(draws)]
    found: dict[str, Any] = {"estimate": float(estimate), "low": None, "high": None}
    if len(defined) <= len(draws) / 2 or np.ptp(defined) <= 1e-12:
        return found | {"reason": "resamples do not say how sure it is"}
    low, high = bootstrap_interval(defined, sampling(float(estimate), defined, left_out, omitted))
    return found | {"low": low, "high": high, "method": "bootstrap"}


def _ratio(a: Sequence[Any], b: Sequence[Any]) -> dict[str, Any]:
    """Return loss of a over loss of b with the percentiles of its resamples; null where b may lose nothing."""
    if b[0] <= 0:
        return {"estimate": None, "low": None, "high": None, "reason": "b loses nothing: no share of it"}
    known = ~(np.isnan(a[1]) | np.isnan(b[1]))
    above = known & (b[1] > 0)
    found: dict[str, Any] = {"estimate": float(a[0] / b[0]), "low": None, "high": None}
    if above.sum() < SURE * max(1, known.sum()):
        return found | {"reason": "b loses nothing in some resamples, so the ratio has no bounds: see `half`"}
    low, high = np.quantile(a[1][above] / b[1][above], [0.025, 0.975])
    return found | {"low": float(low), "high": float(high), "method": "percentile bootstrap"}
