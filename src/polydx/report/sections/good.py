"""1. How good: the declared endpoint first, then every recipe and task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polydx.report.blocks import Block, Cell, Details, Heading, Notice, Section, Table, Text
from polydx.report.sections.common import asked, many, metric_cell, seeds_of, units, where_of, widest
from polydx.report.sections.external import many_warnings
from polydx.report.sections.tree import LEAVES, tree_tables
from polydx.report.view import View
from polydx.report.words import INTERVAL_NAMES, interval, listed, metric_name, number, over_seeds, seeds_phrase
from polydx.study import NO_PATIENTS
from polydx.validation.metrics import METRICS, PER_CLASS, TOP_K

TWO_CLASS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")
MULTI_CLASS = ("auroc", "accuracy", "balanced_accuracy", "specificity", "f1")
DECIDED = ("accuracy", "sensitivity", "specificity", "ppv", "npv")
WITHIN = "mean_within_patient_accuracy"
UNSEEN = {False: "each predicted by models fitted without them", True: "none of whom the model had seen"}
FEW_PATIENTS, FEW_OF_A_CLASS = 50, 20


def how_good(view: View) -> Section:
    """Return the headline and a table a task and level."""
    blocks: list[Block] = [*headline(view), *many_warnings(view)]
    notes = view.run.study.get("notes", [])
    blocks += [Notice("warning", f"{note[0].upper()}{note[1:]}.") for note in notes if note.startswith(NO_PATIENTS)]
    for task in view.tasks:
        blocks.append(Heading(asked(view, task)))
        blocks += _level_tables(view, task, "patient")
        if view.says_the_same(task):
            blocks.append(Text("Every patient has one sample, so that figures of samples are the same."))
        else:
            blocks += _level_tables(view, task, "sample")
        if task.endswith(LEAVES):
            blocks += tree_tables(view, task)
    blocks.append(Text(_reading_help(view)))
    return Section("how-good", "How good is it?", blocks)


def headline(view: View) -> list[Block]:
    """Return the sentence with the endpoint that was declared before the run."""
    primary = view.primary
    if primary is None:
        declared = "of the study that fits the model" if view.external else "was declared"
        several = "tasks" if view.external else "recipes, tasks"
        text = (
            f"No primary endpoint {declared} (validation.primary), so no figure below is the headline: with several "
            f"{several} and metrics, the best of many looks better than it is."
        )
        return [Notice("warning", text)]
    recipe, task, level, metric = (str(primary[key]) for key in ("recipe", "task", "level", "metric"))
    figures = view.figures(recipe, task, level) if recipe in view.metrics else None
    if figures is None:
        reason = view.reason(task, level) if recipe in view.metrics else "the run has no such recipe"
        return [
            Notice(
                "warning",
                f"Declared endpoint: {metric_name(metric)} of {recipe} for {task}, per {level}: not available,"
                f" {reason}.",
            )
        ]
    within = view.metrics[recipe]["tasks"][task].get(WITHIN) if level == "sample" else None
    found = within if metric == WITHIN else figures.get(metric)
    return [Notice("headline", _headline_text(view, recipe, task, level, metric, figures, found))]


def _headline_text(
    view: View, recipe: str, task: str, level: str, metric: str, figures: dict[str, Any], found: dict[str, Any] | None
) -> str:
    classes = listed([f"{count} {name}" for name, count in figures["classes"].items()])
    several = sum(figures["classes"].values()) - figures["n_patients"]
    if several and len(figures["classes"]) == 2:
        classes += f", {several} with both"
    elif several:
        classes += ", some with several"
    people = f"{figures['n_patients']} patients ({classes})"
    about = f"{figures['n']} samples of {people}" if level == "sample" else people
    if found is None or found.get("estimate") is None:
        reason = (found or {}).get("reason", "not computed")
        return (
            f"Declared endpoint: {metric_name(metric)} of {recipe} for {task}, {level} level, in {about}: not defined,"
            f" {reason}."
        )
    method = INTERVAL_NAMES.get(found.get("method", ""), "")
    how = (
        f"95 % interval {interval(found)}, {method}"
        if method
        else f"no interval: {found.get('reason', 'not computed')}"
    )
    return (
        f"Declared endpoint: recipe {recipe}, task {task}, {level} level: {metric_name(metric)}"
        f" {number(found['estimate'])} ({how}{seeds_phrase(seeds_of(view))}) in {about}, {UNSEEN[view.external]}."
    )


def _level_tables(view: View, task: str, level: str) -> list[Block]:
    recipes = [r for r in view.recipes(task) if view.figures(r, task, level)]
    if not recipes:
        return [Text(f"{level.capitalize()} level: {view.reason(task, level)}.")]
    first = widest(view, task, level, recipes)
    blocks: list[Block] = []
    fewest = min(first["classes"].values())
    if level == view.level(task) and (first["n_patients"] < FEW_PATIENTS or fewest < FEW_OF_A_CLASS):
        told = listed([f"{n} {name}" for name, n in first["classes"].items()])
        blocks.append(Notice("warning", f"Few patients for {task} ({told}): read the intervals, not the estimates."))
    blocks.append(_main_table(view, task, level, recipes, first))
    blocks += answers_fewer(view, task, level, recipes)
    blocks += _at_operating_point(view, task, level, recipes)
    blocks.append(
        Details(f"All metrics, {level} level, with the interval method", [_all_metrics(view, task, level, recipes)])
    )
    if len(first["per_class"]) > 2:
        tables = [_per_class(view, task, level, recipe) for recipe in recipes]
        blocks.append(Details(f"Each class against the rest, {level} level", tables))
    return blocks


def answers_fewer(view: View, task: str, level: str, recipes: list[str]) -> list[Block]:
    """Return a note on recipes that answer fewer units than others: those that have none of their modalities."""
    most = widest(view, task, level, recipes)["n"]
    counts = {r: (view.figures(r, task, level) or {})["n"] for r in recipes}
    fewer = [f"{r} answers {n} of {units(level, most)}" for r, n in counts.items() if n < most]
    if not fewer:
        return []
    text = (
        f"{listed(fewer)}: the others have none of its modalities. Its figures are of those it answers; recipes are"
        " compared on those that both answer."
    )
    return [Notice("note", text if len(fewer) == 1 else text.replace("none of its", "none of their"))]


def _main_table(view: View, task: str, level: str, recipes: list[str], first: dict[str, Any]) -> Table:
    classes = len(first["per_class"])
    metrics = [*(TWO_CLASS if classes == 2 else MULTI_CLASS), *([WITHIN] if level == "sample" else [])]
    notes: dict[str, None] = {}
    rows = []
    for recipe in recipes:
        found = dict(view.figures(recipe, task, level) or {})
        if level == "sample":
            found[WITHIN] = view.metrics[recipe]["tasks"][task].get(WITHIN)
        cells = []
        for metric in metrics:
            strong = _declared(view, recipe, task, level, metric)
            cell = metric_cell(found[metric], notes, where_of(recipe, metric), strong=strong)
            cells.append(replace(cell, extra=over_seeds(found[metric])))
        rows.append([Cell(recipe), *cells])
    head = ["recipe", *(metric_name(m, classes) for m in metrics)]
    averaged = "" if classes == 2 else " AUROC, specificity and F1 are means over classes, each against the rest."
    repeated = ", ± SD over seeds" if seeds_of(view) > 1 else ""
    caption = (
        f"{task}, {level} level: {many(level, first['n'], first['n_patients'])}; estimate with 95 % interval{repeated}."
        f"{averaged}"
    )
    return Table(caption, head, rows, list(notes))


def _at_operating_point(view: View, task: str, level: str, recipes: list[str]) -> list[Block]:
    """Return what two-class recipes decide at the thresholds that were fitted for them on inner patients."""
    cuts = view.run.predictions.loc[view.run.predictions["task"] == task, ["recipe", "threshold"]].dropna()
    fitted = [recipe for recipe in recipes if recipe in set(cuts["recipe"])]
    if not fitted:
        return []
    notes: dict[str, None] = {}
    rows: list[list[str | Cell]] = []
    for recipe in fitted:
        found = view.figures(recipe, task, level) or {}
        own = cuts.loc[cuts["recipe"] == recipe, "threshold"]
        low, high = number(own.min(), 2), number(own.max(), 2)
        cells = [metric_cell(found[m], notes, where_of(recipe, m)) for m in DECIDED]
        rows.append([recipe, low if low == high else f"{low} to {high}", *cells])
    caption = (
        f"{task}, {level} level, at the operating point: decisions at thresholds chosen on inner patients"
        f"{'' if view.external else ', fold by fold'}; estimate with 95 % interval."
    )
    return [Table(caption, ["recipe", "threshold", *map(metric_name, DECIDED)], rows, list(notes))]


def _declared(view: View, recipe: str, task: str, level: str, metric: str) -> bool:
    primary = view.primary or {}
    return (recipe, task, level, metric) == tuple(primary.get(k) for k in ("recipe", "task", "level", "metric"))


def _all_metrics(view: View, task: str, level: str, recipes: list[str]) -> Table:
    notes: dict[str, None] = {}
    rows = []
    figures = {recipe: view.figures(recipe, task, level) or {} for recipe in recipes}
    first = figures[recipes[0]]
    for metric in [m for m in METRICS if m in first and TOP_K.get(m, 0) < len(first["per_class"])]:
        cells = []
        for recipe in recipes:
            found = figures[recipe][metric]
            cell = metric_cell(found, notes, where_of(recipe, metric))
            method = INTERVAL_NAMES.get(found.get("method", ""), "")
            cells.append(Cell(cell.text, f"{cell.small} {method}".strip(), extra=over_seeds(found)))
        rows.append([Cell(metric_name(metric)), *cells])
    return Table(
        f"{task}, {level} level: all metrics, with 95 % interval and its method.",
        ["metric", *recipes],
        rows,
        list(notes),
    )


def _per_class(view: View, task: str, level: str, recipe: str) -> Table:
    notes: dict[str, None] = {}
    found = (view.figures(recipe, task, level) or {})["per_class"]
    metrics = [m for m in PER_CLASS if m in ("auroc", "sensitivity", "specificity", "ppv", "npv", "f1")]
    rows: list[list[str | Cell]] = [
        [Cell(label), str(own["n"]), *(metric_cell(own[m], notes, f"{label}, {metric_name(m)}") for m in metrics)]
        for label, own in found.items()
    ]
    return Table(
        f"{recipe}: {task}, {level} level, one class against the rest.",
        ["class", "n", *map(metric_name, metrics)],
        rows,
        list(notes),
    )


def _reading_help(view: View) -> str:
    resamples = view.run.metrics.get("resamples", 0)
    return (
        "Intervals are 95 %. Proportions over patients: Wilson. AUROC of two classes over patients: DeLong on the"
        f" logit scale. Everything else: {resamples} resamples of patients (never of samples), stratified by class."
        " Bold: the declared endpoint."
        + (
            " Figures are means over seeds of each seed's metric; ± is their standard deviation over seeds,"
            " the spread of repetitions, not of patients."
            if seeds_of(view) > 1
            else ""
        )
    )
