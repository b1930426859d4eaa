"""6. Which modalities it needs: answers without some of them, by what patients have, and what networks weighed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polydx.errors import counted
from polydx.report.blocks import Block, Bullets, Cell, Heading, Picture, Section, Table, Text
from polydx.report.figures.modalities import scenario_differences, weight_spread
from polydx.report.sections.common import metric_cell, picture, units
from polydx.report.view import View
from polydx.report.words import DASH, interval, metric_name, number
from polydx.validation.scenarios import AT_RANDOM, ONLY, WITHOUT

MEANING = (
    "The models are those of the sections above, fitted to all modalities. At test time modalities are taken from the"
    " samples, and the answers are compared with those to the complete samples, paired on the same patients. A loss"
    " says what a fitted model leans on, not what a modality is worth in itself: where two tell the same, a model may"
    " lean on either. What a recipe of one modality reaches stands in section 1, where the run has one."
)
ATTENTION = (
    "These are attention weights, not importance: they tell where a network looked, not what its answer rests on. For"
    " that, look at what it loses without a modality."
)
BY_PATTERN = (
    "By the modalities that {level}s have. {Level}s of different patterns are different {level}s, so a difference"
    " between patterns is no effect of a modality."
)


def which_modalities(view: View) -> Section | None:
    """Return what recipes of several modalities owe to each; None where the run has no such recipe."""
    used = {name: found for name in view.metrics if len(found := modalities_of(view, name)) > 1}
    if not used:
        return None
    blocks: list[Block] = [_recipes(view)]
    parts = [(task, [r for r in view.recipes(task) if r in used]) for task in view.tasks]
    taken = [block for task, recipes in parts for block in _taken(view, task, recipes)]
    blocks += [Heading("Without some of them"), Text(MEANING), *taken] if taken else []
    blocks += _losses(view)
    there = [block for task, recipes in parts for block in _availability(view, task, recipes)]
    blocks += [Heading("By what was measured"), *there] if there else []
    blocks += _weights(view)
    return Section("modalities", "Which modalities does it need?", blocks)


def modalities_of(view: View, recipe: str) -> list[str]:
    """Return the modalities that a recipe used for any sample, in the order of the study."""
    own = view.run.predictions.loc[view.run.predictions["recipe"] == recipe, "modalities"]
    found = {str(name) for listed in own for name in listed}
    return [name for name in view.run.study["modalities"] if name in found] + sorted(
        found - set(view.run.study["modalities"])
    )


def _recipes(view: View) -> Table:
    table = view.run.predictions.drop_duplicates(["recipe", "sample"])
    rows: list[list[str | Cell]] = []
    for recipe in view.metrics:
        own = table[table["recipe"] == recipe]
        answered = f"{counted(own['patient'].nunique(), 'patient')}, {counted(len(own), 'sample')}"
        rows.append([recipe, ", ".join(modalities_of(view, recipe)), answered])
    return Table(
        "The modalities that each recipe uses, and whom it answers.", ["recipe", "uses", "answers"], rows, numbers=3
    )


def named(scenario: str) -> str:
    """Return a scenario in words: 'without image', 'image only', '30 % missing at random'."""
    if scenario.startswith(WITHOUT):
        return f"without {scenario.removeprefix(WITHOUT)}"
    if scenario.startswith(ONLY):
        return f"{scenario.removeprefix(ONLY)} only"
    return f"{100 * float(scenario.removeprefix(AT_RANDOM)):g} % missing at random"


def _metric(view: View, task: str) -> str:
    """Return the declared metric of the declared task, where it is among those of scenarios; else AUROC."""
    declared = view.primary
    known = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "brier")
    mine = declared is not None and declared["task"] == task and declared["metric"] in known
    return str(declared["metric"]) if declared is not None and mine else "auroc"


def _found(view: View, task: str, recipes: Sequence[str]) -> Iterator[tuple[str, str, Mapping[str, Any] | None, str]]:
    """Yield recipe, scenario, figures at the level that counts, and the reason where there are none."""
    level = view.level(task)
    for recipe in recipes:
        for scenario, levels in view.metrics[recipe]["tasks"][task].get("scenarios", {}).items():
            yield recipe, scenario, levels.get(level), levels.get(f"{level}_reason", "not computed")


def _taken(view: View, task: str, recipes: Sequence[str]) -> list[Block]:
    """Return table and figure of what recipes lose in each scenario."""
    found, level, metric = list(_found(view, task, recipes)), view.level(task), _metric(view, task)
    if not found:
        return []
    also = "accuracy" if metric != "accuracy" else "balanced_accuracy"
    notes: dict[str, None] = {}
    rows: list[list[str | Cell]] = []
    drawn: list[dict[str, Any]] = []
    for recipe, scenario, figures, reason in found:
        where = f"{recipe}, {named(scenario)}"
        if figures is None:
            notes[f"{where}: {DASH}: {reason}."] = None
            continue
        cells = [
            cell
            for m in (metric, also)
            for cell in (metric_cell(figures[m], notes, where), _difference(figures["difference"][m], notes, where))
        ]
        rows.append([recipe, named(scenario), str(figures["n"]), *cells])
        told = {k: figures["difference"][metric].get(k) for k in ("estimate", "low", "high")}
        drawn.append({"recipe": recipe, "scenario": named(scenario), "n": figures["n"], **told})
    head = [
        "recipe",
        "test samples",
        units(level),
        *(h for m in (metric, also) for h in (metric_name(m), "difference")),
    ]
    caption = (
        f"{task}, {level} level: answers where modalities are taken from the test samples, and their difference from"
        " those to the complete samples of the same patients; estimates with 95 % interval."
    )
    return [Table(caption, head, rows, list(notes), numbers=2), *_drawn(view, task, metric, drawn)]


def _difference(found: Mapping[str, Any], notes: dict[str, None], where: str) -> Cell:
    if found.get("reason"):
        notes[f"{where}, difference: {found['reason']}."] = None
    return Cell(number(found["estimate"]), interval(found) or ("" if found["estimate"] is None else DASH))


def _drawn(view: View, task: str, metric: str, drawn: Sequence[dict[str, Any]]) -> list[Picture]:
    data = pd.DataFrame(drawn)
    if data.empty or data["estimate"].isna().all():
        return []
    data = data.astype(dict.fromkeys(("estimate", "low", "high"), float))
    caption = (
        f"{task}: {metric_name(metric)} without some modalities less that with all, paired on the same"
        f" {units(view.level(task))} (n); whiskers: 95 % interval. Left of 0: the recipe is worse off"
        f"{' (a Brier score: right of 0)' if metric == 'brier' else ''}."
    )
    told = "; ".join(f"{r['recipe']} {r['scenario']} {number(r['estimate'], 2)}" for _, r in data.iterrows())
    return [
        picture(
            view,
            f"modalities-{task}",
            lambda: scenario_differences(data, metric_name(metric), list(view.metrics)),
            caption,
            f"{task}: differences in {metric_name(metric)}: {told}",
            data,
        )
    ]


def _losses(view: View) -> list[Block]:
    found = view.run.metrics.get("scenario_losses", [])
    if not found:
        return []
    return [Heading("Who loses less where modalities are missing?"), Bullets([loss_in_words(f) for f in found])]


def loss_in_words(found: Mapping[str, Any]) -> str:
    """Return what a comparison of losses says, in one or two sentences."""
    a, b = found["a"], found["b"]
    about = f"{metric_name(found['metric'])} of {found['task']}, {named(found['scenario'])}"
    if found.get("loss_a") is None:
        return f"{about}: {a} and {b} could not be compared: {found['reason']}."
    losses = [f"{name} loses {_spread(found[key])}" for name, key in ((a, "loss_a"), (b, "loss_b"))]
    half = found["half"]
    if half["low"] is not None and half["high"] < 0:
        told = f"{a} loses less than half of what {b} loses"
    elif found["difference"]["low"] is not None and found["difference"]["high"] < 0:
        told = f"{a} loses less than {b}; that it loses less than half of it could not be shown"
    elif found["difference"]["low"] is not None and found["difference"]["low"] > 0:
        told = f"{a} loses more than {b}"
    else:
        told = f"no difference between the losses of {a} and {b} could be shown"
    ratio = found["ratio"]
    share = f", ratio {_spread(ratio, 2)}" if ratio["estimate"] is not None else ""
    return (
        f"{about}: {losses[0]}, {losses[1]} (n = {found['n']}). Loss of {a} less that of {b}"
        f" {_spread(found['difference'])}, less half that of {b} {_spread(half)}{share}: {told}."
    )


def _spread(found: Mapping[str, Any], digits: int = 3) -> str:
    bounds = interval(dict(found))
    return number(found["estimate"], digits) + (f" ({bounds})" if bounds else "")


def _availability(view: View, task: str, recipes: Sequence[str]) -> list[Block]:
    level, notes = view.level(task), dict[str, None]()
    rows: list[list[str | Cell]] = []
    patterns = {
        recipe: {
            p: f[level] for p, f in view.metrics[recipe]["tasks"][task].get("availability", {}).items() if level in f
        }
        for recipe in recipes
    }
    if all(len(own) < 2 for own in patterns.values()):
        return []
    shown = ("auroc", "accuracy", "sensitivity", "specificity")
    for recipe, own in patterns.items():
        for pattern, figures in own.items():
            where = f"{recipe}, {pattern}"
            cells = [metric_cell(figures[m], notes, f"{where}, {metric_name(m)}") for m in shown]
            rows.append([recipe, pattern.replace("+", " + "), str(figures["n"]), *cells])
    caption = f"{task}, {level} level. {BY_PATTERN.format(level=level, Level=level.capitalize())}"
    head = ["recipe", f"{units(level)} with", "n", *map(metric_name, shown)]
    return [Table(caption, head, rows, list(notes), numbers=2)]


def _weights(view: View) -> list[Block]:
    weights = view.run.modality_weights
    if weights.empty:
        return []
    groups = weights.groupby(["recipe", "modality"], sort=False)["weight"]
    data = groups.quantile(np.array([0.05, 0.5, 0.95])).unstack().reset_index()
    data.columns = pd.Index(["recipe", "modality", "low", "median", "high"])
    data.insert(2, "samples", groups.size().to_numpy())
    known = [name for name in view.metrics if name in set(data["recipe"])]
    data = data[data["recipe"].isin(known)].reset_index(drop=True)
    caption = (
        "Attention weights, not importance. Share of each modality in what a network makes of a sample, over the test"
        " samples that have it: dot, median; line, 5th to 95th percentile. Weights of a sample sum to 1 over the"
        " modalities it has."
    )
    told = "; ".join(f"{r['recipe']} {r['modality']} {number(r['median'], 2)}" for _, r in data.iterrows())
    drawn = picture(
        view, "modality-weights", lambda: weight_spread(data, list(view.metrics)), caption,
        f"Median attention weights: {told}", data,
    )  # fmt: skip
    return [Heading("What networks weighed"), Text(ATTENTION), drawn]
