"""What several sections need: cells with intervals, figures with captions, the words for units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from polydx.errors import counted
from polydx.report.blocks import Cell, Picture
from polydx.report.style import drawing, to_svg
from polydx.report.view import View
from polydx.report.words import DASH, interval, metric_name, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIMULATED = "SIMULATED DATA"


def picture(
    view: View, name: str, draw: Callable[[], Figure], caption: str, alt: str, data: pd.DataFrame | None = None
) -> Picture:
    """Return a drawn figure; one of a simulated study says so in the figure and in the caption.

    Args:
        view: the run.
        name: of its files, made safe for a file system.
        draw: makes the figure.
        caption: what it shows, with n, unit and interval method.
        alt: for readers who cannot see it.
        data: the numbers behind it.
    """
    with drawing():
        figure = draw()
        if view.simulated:
            figure.suptitle(SIMULATED, fontsize=8, color="#A33B00", fontweight="bold", x=0.995, ha="right")
        svg = to_svg(figure)
    mark = f"{SIMULATED}. " if view.simulated else ""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)
    return Picture(safe, svg, mark + caption, mark + alt, data)


def metric_cell(found: Mapping[str, Any] | None, notes: dict[str, None], where: str, *, strong: bool = False) -> Cell:
    """Return estimate and interval; the reason of a null goes to the notes below the table."""
    if found is None:
        return Cell(DASH)
    if found.get("reason"):
        notes[f"{where}: {'estimate' if found.get('estimate') is None else 'interval'} {DASH}: {found['reason']}."] = (
            None
        )
    if found.get("estimate") is None:
        return Cell(DASH)
    if found.get("undefined"):
        notes[
            f"{where}: not defined in {counted(found['undefined'], 'resample')}, which the interval leaves out: "
            "it is too narrow."
        ] = None
    return Cell(number(found["estimate"]), interval(found) or DASH, strong)


def units(level: str, count: int | None = None) -> str:
    """Return 'patients' or 'samples', with their number if given."""
    noun = level if count == 1 else f"{level}s"
    return noun if count is None else f"{count} {noun}"


def asked(view: View, task: str) -> str:
    """Return a heading for a task: its name and classes."""
    classes = view.scored[task].classes if task in view.scored else ()
    positive = view.scored[task].positive if task in view.scored else None
    names = [f"{c} (positive)" if k == positive else c for k, c in enumerate(classes)]
    return f"{task}: {', '.join(names)}" if names else task


def widest(view: View, task: str, level: str, recipes: Sequence[str]) -> dict[str, Any]:
    """Return the figures of the recipe that answers most units; recipes answer those that have their modalities."""
    found = [figures for recipe in recipes if (figures := view.figures(recipe, task, level))]
    return max(found, key=lambda figures: int(figures["n"]))


def seeds_of(view: View) -> int:
    """Return how many seeds the figures are means over."""
    return len(view.run.metrics.get("seeds", [0]))


def many(level: str, units_: int, patients: int) -> str:
    """Return '30 patients', or '591 samples of 30 patients'."""
    return units(level, units_) if level == "patient" else f"{units(level, units_)} of {counted(patients, 'patient')}"


def where_of(recipe: str, metric: str) -> str:
    """Return how notes name a cell."""
    return f"{recipe}, {metric_name(metric)}"
