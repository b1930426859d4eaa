"""One dot a patient: how sure the recipe was, and of whom it was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.report.style import FAINT, GRID, INK, RIGHT, WIDTH, WRONG, canvas, plain_axes
from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 45
NAME_HEIGHT = 0.135  # inches that a name in 8 point needs
LEAST_HEIGHT, MARGIN = 0.32, 0.05  # inches of a class, and above and below its rows


def patient_dots(people: pd.DataFrame, axis_label: str, threshold: float | None) -> Figure:
    """Draw a row a patient, by true class, sorted by value; those answered wrongly are named.

    Args:
        people: `name`, `truth`, `value` (0 to 1), `low`, `high` (over seeds), `wrong` (bool); classes in order.
        axis_label: what the value is.
        threshold: of the decision, drawn as a line; None where there is none.
    """
    classes = list(people["truth"].unique())
    named = set(people[people["wrong"]].assign(far=_distance(people, threshold)).nlargest(MOST_NAMED, "far").index)
    sums = [float(_row_heights(own, named).sum()) for _, own in people.groupby("truth", sort=False)]
    heights = [max(LEAST_HEIGHT, total) + 2 * MARGIN for total in sums]
    figure = canvas(WIDTH, sum(heights) + 0.6)
    axes = figure.subplots(len(classes), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, label in zip(axes, classes, strict=True):
        own = people[people["truth"] == label].sort_values("value")
        _draw_class(ax, own, named)
        if threshold is not None:
            ax.axvline(threshold, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        if ax is not axes[-1]:
            ax.spines["bottom"].set_visible(False)
            ax.tick_params(axis="x", length=0)
        ax.set_ylabel(f"{clipped(str(label), 18)}\n(n = {len(own)})", rotation=0, ha="right", va="center")
    axes[-1].set_xlabel(axis_label)
    axes[-1].set_xlim(-0.02, 1.3)
    axes[-1].set_xticks([0, 0.25, 0.5, 0.75, 1])
    return figure


def _distance(people: pd.DataFrame, threshold: float | None) -> pd.Series:
    return 1 - people["value"] if threshold is None else (people["value"] - threshold).abs()


def _row_heights(own: pd.DataFrame, named: set[object]) -> NDArray[np.float64]:
    """Return inches for each row of a class: room for a name where one is written, else for a dot."""
    dot = max(0.025, min(0.11, 2.2 / max(1, len(own))))
    return np.array([NAME_HEIGHT if i in named else dot for i in own.index])


def _draw_class(ax: Axes, own: pd.DataFrame, named: set[object]) -> None:
    heights = _row_heights(own, named)
    rows = np.cumsum(heights) - heights / 2
    size = 26 if len(own) < 40 else 14 if len(own) < 120 else 7
    for wrong, shade, marker in ((False, RIGHT, "o"), (True, WRONG, "X")):
        chosen = (own["wrong"] == wrong).to_numpy()
        at, mine = rows[chosen], own[chosen]
        ax.hlines(at, mine["low"], mine["high"], color=shade, linewidth=0.8, alpha=0.6)
        dots: dict[str, Any] = {"s": size * (1.5 if wrong else 1), "c": shade, "marker": marker, "edgecolors": "white"}
        ax.scatter(mine["value"], at, linewidths=0.4, zorder=3, **dots)
    for row, label, value, name in zip(rows, own.index, own["high"], own["name"], strict=True):
        if label in named:
            ax.plot([value + 0.012, 1.03], [row, row], color=WRONG, linewidth=0.4, alpha=0.35)
            ax.text(1.04, row, clipped(str(name), 22), va="center", fontsize=7.5, color=INK)
    spare = max(0.0, LEAST_HEIGHT - float(heights.sum())) / 2 + MARGIN
    ax.set_ylim(-spare, float(heights.sum()) + spare)
    ax.set_yticks([])
    ax.axvline(1.0, color=GRID, linewidth=0.8, zorder=0)
    plain_axes(ax, "x")
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(0, 1)
