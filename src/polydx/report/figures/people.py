"""One dot a patient: how sure the recipe was, and of whom it was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from polydx.report.style import FAINT, INK, RIGHT, WIDTH, WRONG, canvas, plain_axes, spread_apart
from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 45
NAME_HEIGHT = 0.135  # inches that a name in 8 point needs


def patient_dots(people: pd.DataFrame, axis_label: str, threshold: float | None) -> Figure:
    """Draw a row a patient, by true class, sorted by value; those answered wrongly are named.

    Args:
        people: `name`, `truth`, `value` (0 to 1), `low`, `high` (over seeds), `wrong` (bool); classes in order.
        axis_label: what the value is.
        threshold: of the decision, drawn as a line; None where there is none.
    """
    classes = list(people["truth"].unique())
    named = set(people[people["wrong"]].assign(far=_distance(people, threshold)).nlargest(MOST_NAMED, "far").index)
    heights = [_height(own, named) for _, own in people.groupby("truth", sort=False)]
    figure = canvas(WIDTH, sum(heights) + 0.6)
    axes = figure.subplots(len(classes), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, label, height in zip(axes, classes, heights, strict=True):
        own = people[people["truth"] == label].sort_values("value")
        _draw_class(ax, own, named, height)
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


def _height(own: pd.DataFrame, named: set[object]) -> float:
    """Return inches: room for the dots, and for the names of those who are named."""
    names = len(set(own.index) & named)
    dots = max(0.025, min(0.11, 2.2 / max(1, len(own)))) * len(own)
    return max(0.42, dots + 0.1, NAME_HEIGHT * names + 0.15)


def _draw_class(ax: Axes, own: pd.DataFrame, named: set[object], height: float) -> None:
    rows = range(len(own))
    size = 26 if len(own) < 40 else 14 if len(own) < 120 else 7
    for wrong, shade, marker in ((False, RIGHT, "o"), (True, WRONG, "X")):
        at = [i for i in rows if bool(own["wrong"].iloc[i]) is wrong]
        ax.hlines(at, own["low"].iloc[at], own["high"].iloc[at], color=shade, linewidth=0.8, alpha=0.6)
        ax.scatter(
            own["value"].iloc[at],
            at,
            s=size * (1.5 if wrong else 1),
            c=shade,
            marker=marker,
            linewidths=0.4,
            edgecolors="white",
            zorder=3,
        )
    ax.set_ylim(-1.0, len(own))
    called = [i for i in rows if own.index[i] in named]
    gap = NAME_HEIGHT / height * (len(own) + 1)
    for i, y in zip(called, spread_apart(called, gap, -0.9 + gap / 2, len(own) - 0.1 - gap / 2), strict=True):
        ax.plot([own["high"].iloc[i] + 0.012, 1.03, 1.045], [i, i, y], color=WRONG, linewidth=0.4, alpha=0.35)
        ax.text(1.05, y, clipped(str(own["name"].iloc[i]), 22), va="center", fontsize=7.5, color=INK)
    ax.set_yticks([])
    ax.axvline(1.0, color="#E3E3E3", linewidth=0.8, zorder=0)
    plain_axes(ax, "x")
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(0, 1)
