"""2. Compared with what: recipes side by side, and the tests of the declared endpoint."""

from __future__ import annotations

from typing import Any

import pandas as pd

from polydx.report.blocks import Block, Bullets, Cell, Notice, Picture, Section, Table, Text
from polydx.report.figures.intervals import metric_intervals
from polydx.report.sections.common import many, picture, seeds_of, units, widest
from polydx.report.sections.external import beside_validation
from polydx.report.view import View
from polydx.report.words import (
    DASH,
    LOWER_IS_BETTER,
    TEST_NAMES,
    interval,
    listed,
    metric_name,
    number,
    p_value,
    seeds_phrase,
)

SHOWN = ("auroc", "accuracy", "balanced_accuracy")
ALPHA = 0.05


def compared_with_what(view: View) -> Section:
    """Return the figures of all recipes side by side, the table of comparisons and what they say in words."""
    if view.external:
        return Section("compared", "Compared with what?", beside_validation(view))
    blocks: list[Block] = []
    if len(view.metrics) == 1:
        blocks.append(
            Notice(
                "warning",
                "The run has one recipe: nothing to compare it with. Add a plain one, such as a logistic regression.",
            )
        )
    blocks += [figure for task in view.tasks if (figure := _side_by_side(view, task)) is not None]
    blocks += _comparisons(view)
    return Section("compared", "Compared with what?", blocks)


def interval_rows(view: View, task: str, level: str) -> pd.DataFrame:
    """Return `recipe`, `metric`, `estimate`, `low`, `high` of the metrics shown side by side."""
    found = [
        {"recipe": recipe, "metric": metric, **{k: figures[metric].get(k) for k in ("estimate", "low", "high")}}
        for recipe in view.recipes(task)
        if (figures := view.figures(recipe, task, level))
        for metric in SHOWN
    ]
    frame = pd.DataFrame(found, columns=["recipe", "metric", "estimate", "low", "high"])
    return frame.astype(dict.fromkeys(("estimate", "low", "high"), float))


def _side_by_side(view: View, task: str) -> Picture | None:
    level = view.level(task)
    rows = interval_rows(view, task, level)
    if rows.empty:
        return None
    first = widest(view, task, level, view.recipes(task))
    chance = {"auroc": 0.5, "balanced_accuracy": 1 / len(first["classes"])}
    caption = (
        f"{task}: all recipes on the same folds, {many(level, first['n'], first['n_patients'])}. Dots:"
        f" estimate{seeds_phrase(seeds_of(view))}; whiskers: 95 % interval (methods as in section 1); dashed: a guess."
        " Overlapping whiskers do not settle whether recipes differ: all were tested on the same patients, so only the"
        " paired tests below do."
    )
    alt = f"{task}: " + "; ".join(f"{recipe} {_told(own)}" for recipe, own in rows.groupby("recipe", sort=False))
    return picture(
        view, f"intervals-{task}", lambda: metric_intervals(rows, chance, list(view.metrics)), caption, alt, rows
    )


def _told(own: pd.DataFrame) -> str:
    """Return a recipe's estimates in words."""
    pairs = zip(own["metric"], own["estimate"], strict=True)
    return listed([f"{metric_name(metric)} {number(None if pd.isna(value) else value, 2)}" for metric, value in pairs])


def _comparisons(view: View) -> list[Block]:
    found: list[dict[str, Any]] = view.run.metrics.get("comparisons", [])
    if not found:
        why = "no primary endpoint was declared" if view.primary is None else "there is no recipe to compare with"
        return [Text(f"No tests: {why}.")]
    rows: list[list[str | Cell]] = [
        [
            Cell(f"{c['a']} − {c['b']}"),
            f"{metric_name(c['metric'])} ({c['task']}, {c['level']})",
            Cell(number(c["difference"]), interval(c) or DASH),
            p_value(c["p"]),
            p_value(c["p_holm"]),
            TEST_NAMES.get(c["test"] or "", DASH),
        ]
        for c in found
    ]
    notes = [f"{c['a']} − {c['b']}: {c['reason']}." for c in found if c.get("reason")]
    notes += [
        f"{c['a']} − {c['b']}: on the {units(c['level'], c['n_common'])} that both answer."
        for c in found
        if c.get("n_common")
    ]
    caption = (
        "Differences in the declared endpoint, paired on the same patients, with 95 % interval; p also adjusted by"
        f" Holm over {len(found)} comparison{'s' if len(found) > 1 else ''}."
    )
    head = ["difference", "endpoint", "estimate", "p", "p (Holm)", "test"]
    return [Table(caption, head, rows, notes, numbers=2), Bullets([in_words(c) for c in found])]


def in_words(found: dict[str, Any]) -> str:
    """Return what a comparison says, in one sentence."""
    a, b, metric = found["a"], found["b"], metric_name(found["metric"])
    if found["difference"] is None:
        return f"{a} and {b} could not be compared: {found.get('reason', 'not computed')}."
    p = found["p_holm"]
    spread = f"{number(found['difference'])}" + (f", 95 % interval {interval(found)}" if interval(found) else "")
    if p is None:
        return (
            f"{metric} of {a} less that of {b} is {spread}; it could not be tested:"
            f" {found.get('reason', 'not computed')}."
        )
    told = f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"
    if p >= ALPHA:
        allowed = (
            f" Differences from {interval(found)} remain possible, so this does not show that they are equal."
            if interval(found)
            else ""
        )
        return f"No difference in {metric} between {a} and {b} could be shown: {spread} ({told} after Holm).{allowed}"
    higher = found["difference"] > 0
    better = higher != (found["metric"] in LOWER_IS_BETTER)
    return (
        f"{metric} of {a} was {'higher' if higher else 'lower'} ({'better' if better else 'worse'}) than that of {b}:"
        f" {spread} ({told} after Holm)."
    )
