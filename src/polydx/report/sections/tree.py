"""A tree of tasks: how often each class is found, where its parent is known and where it has to be found too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from polydx.report.blocks import Block, Cell, Table, Text
from polydx.report.sections.common import metric_cell
from polydx.report.view import View
from polydx.report.words import DASH
from polydx.study import Task

LEAVES = "/leaves"


def tree_tables(view: View, leaves: str) -> list[Block]:
    """Return one table a recipe with the tree of the task whose leaves these are; what its columns mean comes first.

    Args:
        view: the run.
        leaves: `TASK/leaves`.
    """
    level = view.level(leaves)
    recipes = [name for name in view.recipes(leaves) if view.figures(name, leaves, level)]
    if not recipes:
        return []
    meaning = (
        f"The tree: sensitivity of each class given its parent ({level}s whose parent class is true, as if that were"
        " known), and end to end (decided among all leaves at once, so a wrong parent counts as wrong)."
    )
    return [Text(meaning), *(_table(view, leaves, level, recipe) for recipe in recipes)]


def _table(view: View, leaves: str, level: str, recipe: str) -> Table:
    ends: dict[str, Any] = (view.figures(recipe, leaves, level) or {})["per_class"]
    found = iter(ends)  # the leaves come in the order of the walk
    notes: dict[str, None] = {}
    rows: list[list[str | Cell]] = []
    for depth, task, label, is_leaf in walk(leaves.removesuffix(LEAVES), view.run.tasks):
        own = (view.figures(recipe, task, level) or {"per_class": {}})["per_class"].get(label)
        given = Cell(DASH) if own is None else metric_cell(own["sensitivity"], notes, f"{label}, given its parent")
        end = metric_cell(ends[next(found)]["sensitivity"], notes, f"{label}, end to end") if is_leaf else Cell(DASH)
        count = DASH if own is None else str(own["n"])
        rows.append([Cell("↳ " * depth + label), task, count, given, end])
    caption = f"{recipe}: the tree of {leaves.removesuffix(LEAVES)}, {level} level; sensitivity with 95 % interval."
    return Table(caption, ["class", "task", "n", "given its parent", "end to end"], rows, list(notes), numbers=2)


def walk(root: str, tasks: Mapping[str, Task], depth: int = 0) -> Iterator[tuple[int, str, str, bool]]:
    """Walk over the classes of a task and of those below it: depth, task, class, and whether it is a leaf."""
    for label in tasks[root].classes:
        below = next((name for name, task in tasks.items() if task.parent == (root, label)), None)
        yield depth, root, label, below is None
        if below is not None:
            yield from walk(below, tasks, depth + 1)
