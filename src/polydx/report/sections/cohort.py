"""Who took part: the flow of patients, what was missing, and accuracy by subgroup."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.report.blocks import Block, Bullets, Flow, Notice, Table, Text
from polydx.report.figures.intervals import subgroup_intervals
from polydx.report.searches import is_search
from polydx.report.sections.common import picture, units
from polydx.report.view import Answers, View, group_values
from polydx.report.words import listed, percent
from polydx.validation.intervals import wilson
from polydx.validation.outcomes import Outcomes

SMALL_GROUP = 10


def flow(view: View) -> list[Block]:
    """Return how many patients and samples were read, labelled and tested, task by task, and the reader's notes."""
    study = view.run.study
    blocks: list[Block] = []
    for task in view.raw:
        asked, definition = view.scored[task], view.run.tasks[task]
        steps = [("read", f"{counted(study['patients'], 'patient')}, {counted(study['samples'], 'sample')}")]
        if definition.parent is not None:
            steps.append(
                (f"asked for {task}, if {definition.parent[1]}", _size(asked, np.ones(len(asked), dtype=np.bool_)))
            )
        steps.append((f"labelled for {task}", _labelled(view, task)))
        used = view.outcomes(task, "sample")
        tested = "none" if used is None else _size(used, np.ones(len(used), dtype=np.bool_))
        steps.append(("labelled and tested: in the figures", tested))
        blocks.append(Flow(steps))
    if study.get("notes"):
        blocks += [Text("What the reader noted:"), Bullets(study["notes"])]
    notes = [note for note in view.run.metrics.get("notes", []) if not is_search(note)]
    if notes:
        blocks += [Text("What fits left out or fell back on:"), Bullets(notes)]
    return blocks


def _size(outcomes: Outcomes, chosen: NDArray[np.bool_]) -> str:
    people = len(np.unique(outcomes.patients[chosen]))
    return f"{counted(people, 'patient')}, {counted(int(chosen.sum()), 'sample')}"


def _labelled(view: View, task: str) -> str:
    """Return how many patients and samples of the whole study have a label, tested or not."""
    classes = view.run.study["tasks"][task]["classes"].values()
    samples = counted(sum(c["samples"] for c in classes), "sample")
    people = [p for p in view.run.study.get("participants", []) if p["labels"].get(task) is not None]
    level = view.run.tasks[task].level
    return f"{counted(len(people), 'patient')}, {samples}" if level == "patient" else samples


def missing_tables(view: View) -> list[Block]:
    """Return how many samples lack a modality or a label."""
    study = view.run.study
    n = study["samples"]
    rows = [
        [
            f"modality {name}",
            str(n - m["samples_without"]),
            str(m["samples_without"]),
            percent(m["samples_without"] / n),
        ]
        for name, m in study["modalities"].items()
    ]
    rows += [
        [f"label of {name}", str(n - t["unlabelled"]), str(t["unlabelled"]), percent(t["unlabelled"] / n)]
        for name, t in study["tasks"].items()
    ]
    head = ["what", "samples with it", "missing", "share missing"]
    told = "A sample without a label adds nothing to the training or the figures of that task."
    return [Table(f"Missing data, of {n} samples. {told}", head, rows)]


def subgroups(view: View, task: str, level: str, own: Answers) -> list[Block]:
    """Return accuracy by centre, sex, age band and whatever else groups the samples; nothing where there is none."""
    rows = subgroup_rows(view, level, own)
    if rows.empty:
        return []
    o = own.outcomes
    overall = float(own.right_share.mean())
    each: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]  # column names are text
    small = [
        f"{r['group']} ({r['column']}, {counted(r['patients'], 'patient')})"
        for r in each
        if r["patients"] < SMALL_GROUP
    ]
    seeds = f", mean of {own.seeds} seeds" if own.seeds > 1 else ""
    caption = (
        f"{task}, {own.recipe}: share of {units(level)} answered rightly by subgroup{seeds}; Wilson 95 % intervals for"
        f" the number of patients in the group; n counts {units(level)}. No test was made: differences between groups"
        " may be chance, or differences in who is in them."
    )
    alt = f"{task}, {own.recipe}: " + "; ".join(f"{r['column']} {r['group']} {r['estimate']:.2f}" for r in each)
    figure = picture(view, f"subgroups-{task}", lambda: subgroup_intervals(rows, overall), caption, alt, rows)
    warning: list[Block] = []
    if small:
        warning = [Notice("note", f"Subgroups of fewer than {SMALL_GROUP} patients say little: {listed(small)}.")]
    return [figure, *warning] if len(o) else []


def subgroup_rows(view: View, level: str, own: Answers) -> pd.DataFrame:
    """Return `column`, `group`, `n`, `patients`, `estimate`, `low`, `high`, without empty groups."""
    o, right = own.outcomes, own.right_share
    found = []
    for column, values in view.groups(level).items():
        mine = np.array([values.get(str(u)) for u in o.units], dtype=object)
        for group in [*group_values(values), None]:
            inside = np.array([v == group for v in mine], dtype=np.bool_)
            if not inside.any():
                continue
            share, patients = float(right[inside].mean()), len(np.unique(o.patients[inside]))
            low, high = wilson(share, patients)
            name = "not known" if group is None else group
            found.append(
                {
                    "column": column,
                    "group": name,
                    "n": int(inside.sum()),
                    "patients": patients,
                    "estimate": share,
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(found, columns=["column", "group", "n", "patients", "estimate", "low", "high"])
