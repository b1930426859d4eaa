"""Are the probabilities true: calibration curves, slope, intercept and expected calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.report.blocks import Block, Cell, Notice, Picture, Table, Text
from polydx.report.figures.curves import calibration_panels
from polydx.report.sections.common import many, metric_cell, picture, seeds_of
from polydx.report.view import View, answers
from polydx.report.words import listed, metric_name, seeds_phrase
from polydx.validation.calibration import calibration_curve
from polydx.validation.outcomes import Outcomes

Floats = NDArray[np.float64]

METRICS = ("calibration_slope", "calibration_intercept", "ece", "brier")
ENOUGH = 200
MOST_PANELS = 6
HELP = (
    "Slope: 1 is right, below 1 the probabilities are too extreme. Intercept: 0 is right, below 0 they are too high."
    " ECE: mean distance between predicted and observed share, in ten bins; 0 is right, and with few patients it is"
    " above 0 by chance alone."
)


def calibration_blocks(view: View) -> list[Block]:
    """Return curve and table of every task, at the level that counts."""
    blocks: list[Block] = [Text(HELP)]
    levels = {task: view.level(task) for task in view.tasks}
    found = {task: own for task, level in levels.items() if (own := view.outcomes(task, level)) is not None}
    few = [f"{task} ({smallest_class(own)})" for task, own in found.items() if smallest_class(own) < ENOUGH]
    if few:
        text = (
            f"Too few patients to judge calibration, in the smallest class: {listed(few)}. About {ENOUGH} with and"
            f" {ENOUGH} without the class are advised (Van Calster et al. 2016, doi 10.1016/j.jclinepi.2015.12.005)."
            " Curves and slopes below are a rough guide."
        )
        blocks.append(Notice("warning", text))
    for task, own in found.items():
        blocks += [_curve(view, task, levels[task], own), _table(view, task, levels[task])]
    return blocks


def smallest_class(outcomes: Outcomes) -> int:
    """Return how many patients the rarest class has."""
    return min(len(np.unique(outcomes.patients[outcomes.labels == code])) for code in range(len(outcomes.classes)))


def predicted_and_right(outcomes: Outcomes, recipe: str) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Return probability, whether it came true, and patient, one entry a unit and seed.

    Two classes: the probability of the positive class. More: that of the class decided for.
    """
    own = answers(outcomes, recipe)
    outcomes = own.outcomes
    p = outcomes.probabilities[recipe]
    seed, unit = np.nonzero(own.decisions >= 0)
    code = own.decisions[seed, unit] if outcomes.positive is None else np.full(len(seed), outcomes.positive)
    return p[seed, unit, code], outcomes.labels[unit] == code, outcomes.patients[unit]


def _curve(view: View, task: str, level: str, outcomes: Outcomes) -> Picture:
    shown = view.shown(task)
    recipes = [shown, *(r for r in outcomes.recipes if r != shown)][:MOST_PANELS]
    people = len(outcomes.patient_names)
    bins = int(np.clip(people // 8, 3, 10))
    frames, shares = [], {}
    for recipe in recipes:
        p, right, patients = predicted_and_right(outcomes, recipe)
        curve = calibration_curve(right, p, bins=bins, strategy="quantile", patients=patients)
        frames.append(pd.DataFrame({"recipe": recipe, **curve._asdict()}))
        shares[recipe] = np.sort(p)
    data = pd.concat(frames, ignore_index=True)
    what = (
        "probability of the answer"
        if outcomes.positive is None
        else f"probability of {outcomes.classes[outcomes.positive]}"
    )
    more = (
        f" {len(outcomes.recipes) - len(recipes)} more recipes are in the table only."
        if len(outcomes.recipes) > len(recipes)
        else ""
    )
    caption = (
        f"{task}: calibration, {many(level, len(outcomes), people)}, up to {bins} bins of about equal size. Dots: mean"
        f" {what} and share in which it came true; bars: Wilson 95 % interval for the number of patients in the bin;"
        f" ticks: all probabilities{', of all seeds' if seeds_of(view) > 1 else ''}; dashed: perfect calibration.{more}"
    )
    alt = f"Calibration curves for {task}: " + ", ".join(recipes)
    return picture(
        view,
        f"calibration-{task}",
        lambda: calibration_panels(data, shares, what, list(view.metrics)),
        caption,
        alt,
        data,
    )


def _table(view: View, task: str, level: str) -> Table:
    figures = {recipe: found for recipe in view.recipes(task) if (found := view.figures(recipe, task, level))}
    rows = [[Cell(recipe), *(metric_cell(found[m], {}, "") for m in METRICS)] for recipe, found in figures.items()]
    caption = f"{task}, {level} level: calibration with 95 % interval{seeds_phrase(seeds_of(view))}."
    return Table(caption, ["recipe", *map(metric_name, METRICS)], rows, footnotes(figures))


def footnotes(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return why cells of the table lack something: each reason once a metric, with the recipes unless it is all.

    Args:
        figures: recipe -> metric -> figure.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for metric in METRICS:
        for recipe, found in figures.items():
            for lack in _lacks(found[metric]):
                told.setdefault((metric, lack), []).append(recipe)
    notes = []
    for (metric, lack), recipes in told.items():
        name = metric_name(metric)
        whose = "" if len(recipes) == len(figures) else f" of {listed(recipes)}"
        notes.append(f"{name[0].upper()}{name[1:]}{whose} {lack}.")
    return notes


def _lacks(found: Mapping[str, Any]) -> list[str]:
    """Return what a figure lacks, as the end of a sentence."""
    lacks = []
    if found.get("reason"):
        lacks.append(f"has no {'estimate' if found.get('estimate') is None else 'interval'}: {found['reason']}")
    if found.get("undefined") and found.get("low") is not None:
        resamples = counted(found["undefined"], "resample")
        lacks.append(f"is not defined in {resamples}, which the interval leaves out: it is too narrow")
    return lacks
