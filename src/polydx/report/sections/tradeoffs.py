"""What a threshold trades: ROC and decision curves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from polydx.report.blocks import Block, Picture, Text
from polydx.report.figures.curves import decision_curve, roc_panels
from polydx.report.sections.common import many, picture, seeds_of
from polydx.report.view import View
from polydx.report.words import percent, seeds_phrase
from polydx.validation.curves import net_benefit, roc_band
from polydx.validation.outcomes import Outcomes

MOST_CURVES = 6
WORK = 2_000_000  # units x resamples
THRESHOLDS = np.linspace(0.01, 0.9, 90)


def roc_blocks(view: View, task: str, level: str, outcomes: Outcomes, shown: str) -> list[Block]:
    """Return the ROC curves of all recipes, the shown one with its band; of more classes, each against the rest."""
    two = outcomes.positive is not None
    codes = [outcomes.positive] if outcomes.positive is not None else list(range(len(outcomes.classes)))
    recipes = [shown, *(r for r in outcomes.recipes if r != shown)][:MOST_CURVES] if two else [shown]
    resamples = int(np.clip(WORK // (len(outcomes) * len(recipes) * len(codes)), 200, 1000))
    frames = []
    for code in codes:
        own = outcomes.labels == code
        if own.all() or not own.any():
            continue
        for recipe in recipes:
            scores = outcomes.probabilities[recipe]
            tested = outcomes.tested(recipe).all(axis=0)
            rng = view.rng("roc", task, recipe, outcomes.classes[code])
            patients = np.unique(outcomes.patients[tested], return_inverse=True)[1].astype(np.int64)
            band = roc_band(own[tested], scores[:, tested, code], patients, resamples, rng)
            frames.append(pd.DataFrame({"panel": outcomes.classes[code], "curve": recipe, **band._asdict()}))
    if not frames:
        return [Text(f"{task}: no ROC curve, since all labels are of one class.")]
    data = pd.concat(frames, ignore_index=True)
    against = (
        f"{outcomes.classes[codes[0]]} against {outcomes.classes[1 - codes[0]]}"
        if two
        else f"{shown}, each class against the rest"
    )
    others = "; thin: the other recipes, without band" if len(recipes) > 1 else ""
    caption = (
        f"{task}: ROC curve, {against}, {many(level, len(outcomes), len(outcomes.patient_names))}"
        f"{seeds_phrase(seeds_of(view))}. Band: pointwise 95 %, {resamples} resamples of patients{others}."
    )
    alt = f"ROC curves for {task} of {', '.join(recipes)}"
    return [picture(view, f"roc-{task}", lambda: roc_panels(data, shown, list(view.metrics)), caption, alt, data)]


def decision_picture(view: View, task: str, level: str, outcomes: Outcomes, shown: str) -> Picture:
    """Return the decision curve of a two-class task, mean over seeds."""
    code = outcomes.positive or 0
    event = outcomes.classes[code]
    recipes = [shown, *(r for r in outcomes.recipes if r != shown)][:MOST_CURVES]
    data = pd.DataFrame({"threshold": THRESHOLDS})
    for recipe in recipes:
        tested = outcomes.tested(recipe)
        each = [
            net_benefit(outcomes.labels[t] == code, p[t, code], THRESHOLDS)
            for p, t in zip(outcomes.probabilities[recipe], tested, strict=True)
        ]
        data[recipe] = np.mean([e.model for e in each], axis=0)
        data["treat all"] = each[0].treat_all
    share = float((outcomes.labels == code).mean())
    caption = (
        f"{task}: decision curve (Vickers & Elkin 2006),"
        f" {many(level, len(outcomes), len(outcomes.patient_names))}{seeds_phrase(seeds_of(view))}, without intervals."
        " Net benefit counts a true positive as 1 and weighs a false one by the odds of the threshold. It holds for a"
        f" population in which {percent(share)} are {event}, as here."
    )
    alt = f"Net benefit by threshold for {', '.join(recipes)}, against acting on everyone and on no one"
    return picture(
        view, f"decision-{task}", lambda: decision_curve(data, event, list(view.metrics)), caption, alt, data
    )
