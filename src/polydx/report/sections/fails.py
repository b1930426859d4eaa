"""4. Where does it fail: which answers, which patients, which groups, and what was missing."""

from __future__ import annotations

from polydx.report.blocks import Block, Details, Heading, Section, Text
from polydx.report.sections.answers import confusion_picture, dots_picture, failures
from polydx.report.sections.cohort import flow, missing_tables, subgroups
from polydx.report.sections.tradeoffs import decision_picture, roc_blocks
from polydx.report.view import View, answers


def where_does_it_fail(view: View) -> Section:
    """Return confusion, patients, curves, failures and subgroups a task; then what was missing."""
    shown = (
        "Shown is the recipe of the declared endpoint (without one: the first of the configuration, never the"
        " best); the others open on a click."
    )
    blocks: list[Block] = [] if len(view.metrics) == 1 else [Text(shown)]
    for task in view.tasks:
        blocks.append(Heading(task))
        blocks += _task(view, task)
    blocks += [Heading("Who took part"), *flow(view), *missing_tables(view)]
    return Section("fails", "Where does it fail?", blocks)


def _task(view: View, task: str) -> list[Block]:
    level = view.level(task)
    outcomes = view.outcomes(task, level)
    if outcomes is None:
        reason = view.reason(task, level)
        return [Text(f"{reason[:1].upper()}{reason[1:]}.")]
    shown = view.shown(task)
    own = answers(outcomes, shown)
    blocks: list[Block] = [confusion_picture(view, task, level, own), dots_picture(view, task, level, own)]
    blocks += roc_blocks(view, task, level, outcomes, shown)
    if outcomes.positive is not None:
        blocks.append(decision_picture(view, task, level, outcomes, shown))
    blocks += failures(view, task, level, own)
    blocks += subgroups(view, task, level, own)
    for other in (r for r in outcomes.recipes if r != shown):
        own = answers(outcomes, other)
        inside = [
            confusion_picture(view, task, level, own),
            dots_picture(view, task, level, own),
            *failures(view, task, level, own),
        ]
        blocks.append(Details(f"{task}: {other}", inside))
    return blocks
