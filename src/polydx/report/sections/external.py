"""What a report of an external validation says in place of folds, repetition and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polydx.report.blocks import Block, Cell, Heading, Notice, Table, Text
from polydx.report.sections.common import metric_cell, where_of
from polydx.report.view import View
from polydx.report.words import DASH, interval, listed, metric_name, number, percent
from polydx.validation.run_folder import WARNED

MANY = 0.1
"""Share of patients with a warning that the headline should not stand without."""
SHOWN = ("auroc", "accuracy", "balanced_accuracy")


def beside_validation(view: View) -> list[Block]:
    """Return the figures beside those of the recipe's own validation, which the bundle states; or that it has none."""
    only = "An external validation judges one finished model: there is no other recipe to compare it with."
    stated: dict[str, Any] = view.run.metrics["bundle"].get("validation") or {"absent": "the bundle states none"}
    if "absent" in stated:
        return [Text(f"{only} Nor are there figures of its own validation to set beside these: {stated['absent']}.")]
    notes: dict[str, None] = {}
    recipe, about = next(iter(view.metrics)), view.run.metrics["bundle"]["about"]
    rows: list[list[str | Cell]] = []
    for task in view.tasks:
        level = view.level(task)
        before = stated["tasks"].get(task, {}).get(level, {})
        here = view.figures(recipe, task, level)
        if not before or not here:
            continue
        rows.append(
            [task, level, f"{about['study']} (validation)", *(metric_cell(before.get(m), notes, "") for m in SHOWN)]
        )
        cells = [metric_cell(here[m], notes, where_of(task, m)) for m in SHOWN]
        rows.append([task, level, str(view.run.study["name"]), *cells])
    if not rows:
        return [Text(f"{only} The figures of its own validation are of other tasks or levels.")]
    caption = (
        f"Validation: the recipe {about['recipe']} on '{about['study']}' ({stated['split']}), as the bundle states it;"
        " below each the bundle on the patients of this study. Estimate with 95 % interval."
    )
    told = (
        f"{only} Its own validation stands beside it. The two are of different patients, so no paired test can be made,"
        " and a difference may come from other patients, classes or instruments as well as from the model."
    )
    head = ["task", "level", "patients of", *map(metric_name, SHOWN)]
    return [Text(told), Table(caption, head, rows, list(notes), numbers=3)]


def other_centre(view: View) -> list[Block]:
    """Return who was asked, what was noticed while they were, and the warnings that answers carry."""
    told = str(view.run.metrics.get("split_in_words", ""))
    text = (
        f"{told} Nothing was fitted: the model answered as it would anywhere, at its own operating points. So"
        " there are no folds, no repetition and no leakage gap to report. Whether the model had seen any of these"
        " patients or measurements was looked up by keyed hashes in the bundle: it had not."
    )
    notes = [Notice("note", str(note)) for note in view.run.metrics.get("notes", [])]
    return [Heading("Patients of another centre"), Text(text), *notes, *_warnings(view), *_sets(view)]


def many_warnings(view: View) -> list[Block]:
    """Return a word of caution beside the headline where answers for many patients carry a warning."""
    found = view.run.metrics.get("warnings", {})
    told = [
        f"{own['patients']} of {own['of_patients']} patients ({modality})"
        for modality, own in found.items()
        if own["patients"] > MANY * own["of_patients"]
    ]
    if not told:
        return []
    text = (
        f"The model warns of measurements unlike those it was trained on: {listed(told)}. Section 3 says of what kind."
    )
    return [Notice("warning", text)]


def _warnings(view: View) -> list[Block]:
    """Return how many answers carry a warning, by modality."""
    found: Mapping[str, Mapping[str, Any]] = view.run.metrics.get("warnings", {})
    heading = Heading("Warnings of the model")
    if not found:
        return [heading, Text("None: no answer carries a warning of its own.")]
    notices = []
    for modality, own in found.items():
        share = percent(own["patients"] / own["of_patients"])
        notices.append(
            Notice(
                "warning",
                f"{modality}: {own['samples']} of {own['of_samples']} samples, of {own['patients']} of"
                f" {own['of_patients']} patients ({share}), carry a warning; the first: {own['first']}.",
            )
        )
    beside = "; section 4 shows how it did with and without" if WARNED in view.groups("patient") else ""
    meaning = (
        f"The model answers for them all the same, and all figures include them{beside}. Of spectra like those of"
        " training, about 1 % are told to be unlike them. All of them: warnings.csv."
    )
    return [heading, *notices, Text(meaning)]


def _sets(view: View) -> list[Block]:
    """Return how often the bundle's prediction sets held the truth, and how large they were."""
    rows: list[list[str | Cell]] = []
    whole = []
    for recipe in view.metrics.values():
        for task, levels in recipe["tasks"].items():
            found = levels.get("prediction_sets")
            if found:
                held = Cell(number(found["coverage"]["estimate"]), interval(found["coverage"]) or DASH)
                by_class = [f"{c} {number(own['coverage']['estimate'], 2)} of {own['n']}"
                            for c, own in found["per_class"].items()]  # fmt: skip
                rows.append([task, str(found["n"]), held, number(found["mean_size"], 2), "; ".join(by_class)])
                if found["mean_size"] == len(view.run.tasks[task].classes):
                    whole.append(task)
    if not rows:
        return []
    caption = "Prediction sets of the bundle, meant to hold the truth in 90 % of patients: how many do, and their size."
    head = ["task", "patients", "coverage (95 % interval)", "mean classes a set", "coverage by class"]
    blocks: list[Block] = [Heading("Prediction sets"), Table(caption, head, rows, numbers=9)]
    if whole:
        told = (
            f"Every set of {listed(whole)} holds all classes, so that it cannot be wrong and says nothing: the model"
            " was trained on too few patients of a class, or cannot tell them apart surely enough."
        )
        blocks.append(Notice("note", told))
    return blocks
