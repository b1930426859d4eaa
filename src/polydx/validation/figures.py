"""A figure: an estimate with its interval and how it was made, or null and the reason.

Which interval: proportions over patients take Wilson's, a two-class AUROC over patients DeLong's, everything else
the patient bootstrap. Where all resamples agree (20 of 20 right), the bootstrap would claim certainty; then the
closed form on patients steps in, also for samples, which is the careful side: samples of a patient add to it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.validation.bootstrap import bootstrap_interval, sampling
from polydx.validation.delong import delong
from polydx.validation.intervals import Interval, logit_interval, mover_mean, newcombe_auroc, wilson
from polydx.validation.measure import NOT_TESTED, WITHIN_PATIENT, Measured
from polydx.validation.metrics import RATES, TOP_K

Floats = NDArray[np.float64]
Figure: TypeAlias = dict[str, Any]

ACCURACIES = ("accuracy", WITHIN_PATIENT, *TOP_K)
PROPORTIONS = ("sensitivity", "specificity", "ppv", "npv")
BIASED = "chance alone raises a calibration error, in every resample anew: it has an estimate but no honest interval"
FEWEST_DEFINED = 0.5  # share of resamples that must be defined for a bootstrap interval


def figure(measured: Measured, name: str, code: int | None = None) -> Figure:
    """Return one metric as it stands in metrics.json.

    Args:
        measured: the recipe on its units.
        name: a metric.
        code: class for a one-vs-rest figure; None for the overall one.

    Returns:
        `estimate`, `low`, `high` (95 %) and `method`; `undefined` counts resamples left out; `sd_seeds` is the
        spread over seeds; `reason` says why the estimate or its bounds are null.
    """
    values = _pick(measured.seeds, name, code)
    if np.isnan(values).any():
        return {"estimate": None, "low": None, "high": None, "reason": _why_undefined(measured, name, code)}
    found: Figure = {"estimate": float(values.mean())} | _bounds(measured, name, code)
    if len(values) > 1:
        found["sd_seeds"] = float(values.std(ddof=1))
    return found


def _pick(scores: Any, name: str, code: int | None) -> Floats:
    found: Floats = scores.overall[name] if code is None else scores.per_class[name][:, code]
    return found


def _bounds(measured: Measured, name: str, code: int | None) -> Figure:
    """Return the bounds and the method, or null bounds and the reason."""
    estimate = float(_pick(measured.seeds, name, code).mean())
    if name == "ece":
        return {"low": None, "high": None, "reason": BIASED}
    if measured.outcomes.one_unit_a_patient and measured.complete:
        closed = _closed_form(measured, name, code, estimate)
        if closed is not None:
            return _as_bounds(*closed)
    draws = _pick(measured.draws, name, code)
    defined = draws[~np.isnan(draws)]
    undefined = len(draws) - len(defined)
    counted = {"undefined": undefined} if undefined else {}
    if len(defined) <= FEWEST_DEFINED * len(draws):
        reason = f"not defined in {undefined} of {len(draws)} resamples"
        return {"low": None, "high": None, **counted, "reason": reason}
    if np.ptp(defined) > 1e-12:
        found = sampling(estimate, defined, _pick(measured.left_out, name, code), measured.omitted)
        return _as_bounds(bootstrap_interval(defined, found), "bootstrap") | counted
    careful = _without_spread(measured, name, code, estimate)
    if careful is None:
        reason = "all resamples give the same value, so they do not say how sure it is"
        return {"low": None, "high": None, **counted, "reason": reason}
    return _as_bounds(*careful) | counted


def _as_bounds(interval: Interval, method: str) -> Figure:
    return {"low": interval[0], "high": interval[1], "method": method}


def _closed_form(measured: Measured, name: str, code: int | None, estimate: float) -> tuple[Interval, str] | None:
    """Return the interval of a figure over patients that needs no resampling, if it is one."""
    focus = measured.outcomes.positive if code is None else code
    if name in ACCURACIES or (name in PROPORTIONS and focus is not None):
        return wilson(estimate, _patients_behind(measured, name, focus)), "wilson"
    if name != "auroc" or len(measured.outcomes.classes) != 2 or focus is None:
        return None
    own = measured.outcomes.labels == focus
    readers = delong(measured.scores(focus), own)
    area, error = readers.contrast(np.full(len(readers.aurocs), 1 / len(readers.aurocs)))
    if error > 0 and 0 < area < 1:
        return logit_interval(area, error), "delong"
    return newcombe_auroc(estimate, own.sum(), (~own).sum()), "newcombe"


def _without_spread(measured: Measured, name: str, code: int | None, estimate: float) -> tuple[Interval, str] | None:
    """Return a closed-form interval, on patients, for a figure that no resample moves."""
    focus = measured.outcomes.positive if code is None else code
    if name in ACCURACIES or (name in PROPORTIONS and focus is not None):
        return wilson(estimate, _patients_behind(measured, name, focus)), "wilson"
    if name == "f1" and focus is not None:  # a rising function of the proportion TP / (TP + FP + FN)
        low, high = wilson(estimate / (2 - estimate), _patients_behind(measured, name, focus))
        return (2 * low / (1 + low), 2 * high / (1 + high)), "wilson"
    if name == "auroc" and focus is not None:
        groups = [_patients_behind(measured, rate, focus) for rate in ("sensitivity", "specificity")]
        return newcombe_auroc(estimate, *groups), "newcombe"
    if name == "balanced_accuracy" or (code is None and name in (*RATES, "auroc")):
        return _mean_of_classes(measured, "sensitivity" if name == "balanced_accuracy" else name)
    return None


def _mean_of_classes(measured: Measured, name: str) -> tuple[Interval, str] | None:
    classes = range(len(measured.outcomes.classes))
    parts = [_bounds(measured, name, c) for c in classes]
    if any(part["low"] is None for part in parts):
        return None
    estimates = [float(_pick(measured.seeds, name, c).mean()) for c in classes]
    low, high = mover_mean(estimates, [(part["low"], part["high"]) for part in parts])
    return (max(0.0, low), min(1.0, high)), "mover"


def _patients_behind(measured: Measured, name: str, code: int | None) -> float:
    """Return how many patients a proportion is taken over, mean over seeds."""
    o, decided = measured.outcomes, measured.decisions
    truly = np.broadcast_to(o.labels == code, decided.shape)
    counted = {
        "sensitivity": truly,
        "specificity": ~truly,
        "ppv": decided == code,
        "npv": decided != code,
        "f1": truly | (decided == code),
    }.get(name, np.ones_like(truly))
    counted = counted & (decided != NOT_TESTED)
    return float(np.mean([len(np.unique(o.patients[seed])) for seed in counted]))


def _why_undefined(measured: Measured, name: str, code: int | None) -> str:
    o = measured.outcomes
    if name in TOP_K and TOP_K[name] >= len(o.classes):
        return f"the task has {len(o.classes)} classes, so the true one is always among the top {TOP_K[name]}"
    for seed in measured.decisions:
        labels, decided = o.labels[seed != NOT_TESTED], seed[seed != NOT_TESTED]
        absent = [f"'{c}'" for k, c in enumerate(o.classes) if not (labels == k).any()]
        if absent and name != "ppv":
            return f"no labelled {'patient' if o.one_unit_a_patient else 'sample'} of class {', '.join(absent)}"
        focus = o.positive if code is None else code
        looked_at = range(len(o.classes)) if focus is None else [focus]
        never = [f"'{o.classes[k]}'" for k in looked_at if not (decided == k).any()]
        if never and name == "ppv":
            return f"class {', '.join(never)} is never predicted"
        always = [f"'{o.classes[k]}'" for k in looked_at if (decided == k).all()]
        if always and name == "npv":
            return f"class {', '.join(always)} is always predicted"
    if name == "calibration_slope":
        return "the probabilities separate the classes completely: no finite slope"
    return "not defined for these predictions"
