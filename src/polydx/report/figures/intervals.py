"""Dots with whiskers: estimates and their intervals, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from polydx.report.style import FAINT, INK, MARKERS, PALETTE, WIDTH, canvas, colour, name_rows, plain_axes
from polydx.report.words import clipped, metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNIT_RANGE = frozenset({"auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity"})


def metric_intervals(found: pd.DataFrame, chance: Mapping[str, float], order: Sequence[str]) -> Figure:
    """Draw a panel a metric with a row a recipe.

    Args:
        found: `recipe`, `metric`, `estimate`, `low`, `high`; nulls as NaN.
        chance: metric -> value of a guess, drawn as a dashed line.
        order: all recipes of the run; a recipe's place gives its colour.
    """
    recipes, metrics = list(found["recipe"].unique()), list(found["metric"].unique())
    figure = canvas(WIDTH, 0.75 + 0.27 * len(recipes))
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        own = found[found["metric"] == metric].set_index("recipe")
        for row, recipe in enumerate(recipes):
            dot_and_whisker(
                ax, row, own.loc[recipe], colour(order.index(recipe)), MARKERS[order.index(recipe) % len(MARKERS)]
            )
        if metric in chance:
            ax.axvline(chance[metric], color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        _limits(ax, metric, own)
        plain_axes(ax, "x")
        name_rows(ax, recipes, 20)
        ax.set_title(metric_name(metric))
        ax.spines["left"].set_visible(False)
    return figure


def dot_and_whisker(ax: Axes, row: float, found: Any, shade: str, marker: str = "o") -> None:
    """Draw one estimate with its interval on a row; a null draws a dash."""
    if pd.isna(found["estimate"]):
        ax.text(0.5, row, "–", transform=ax.get_yaxis_transform(), ha="center", va="center", color=FAINT)
        return
    if not pd.isna(found["low"]):
        ax.plot([found["low"], found["high"]], [row, row], color=shade, linewidth=2.0, solid_capstyle="butt")
    ax.plot(found["estimate"], row, marker, color=shade, markersize=6.0, markeredgecolor="white", markeredgewidth=0.7)


def _limits(ax: Axes, metric: str, own: pd.DataFrame) -> None:
    """Show 0 to 1, or 0.5 to 1 where all is above that."""
    if metric not in UNIT_RANGE:
        return
    lowest = np.nanmin(own[["estimate", "low"]].to_numpy(dtype=np.float64), initial=1.0)
    start = 0.5 if lowest >= 0.5 else 0.0
    ax.set_xlim(start - 0.02 * (1 - start), 1.0 + 0.02 * (1 - start))
    ax.set_xticks([start, (start + 1) / 2, 1.0])


def leakage_gap(found: pd.DataFrame) -> Figure:
    """Draw the same recipe under a split by sample and a split by patient.

    Args:
        found: `task`, `metric`, `split` ("by sample" or "by patient"), `estimate`, `low`, `high`.
    """
    tasks = list(found["task"].unique())
    figure = canvas(WIDTH * 0.8, 0.85 + 0.5 * len(tasks))
    ax = figure.subplots()
    for row, task in enumerate(tasks):
        for shift, split in ((-0.16, "by sample"), (0.16, "by patient")):
            own = found[(found["task"] == task) & (found["split"] == split)].iloc[0]
            shade, marker = (PALETTE[1], "s") if split == "by sample" else (PALETTE[0], "o")
            dot_and_whisker(ax, row + shift, own, shade, marker)
            text = f" {own['estimate']:.3f} {split}"
            right = own["estimate"] if pd.isna(own["high"]) else own["high"]
            ax.annotate(
                text, (right, row + shift), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8.5
            )
    metrics = found.drop_duplicates("task").set_index("task")["metric"]
    lowest = float(np.nanmin(found[["estimate", "low"]].to_numpy(dtype=np.float64)))
    start = max(0.0, np.floor(lowest * 10 - 0.5) / 10)
    ax.set_xlim(start, 1.0 + 0.28 * (1 - start))
    ax.set_xticks([t for t in np.arange(0, 1.01, 0.1 if start >= 0.4 else 0.2).round(1) if t >= start])
    ax.set_xlabel("accuracy of samples" if set(metrics) == {"accuracy"} else "estimate")
    plain_axes(ax, "x")
    name_rows(ax, [f"{clipped(t, 20)}: {metric_name(metrics[t])}" for t in tasks], 44)
    ax.spines["bottom"].set_bounds(start, 1.0)
    ax.spines["left"].set_visible(False)
    return figure


def subgroup_intervals(found: pd.DataFrame, overall: float) -> Figure:
    """Draw accuracy in each subgroup.

    Args:
        found: `column`, `group`, `n`, `estimate`, `low`, `high`, a row a subgroup, columns in order.
        overall: accuracy of all, drawn as a line.
    """
    rows: list[tuple[str, pd.Series[Any] | None]] = []
    for column, own in found.groupby("column", sort=False):
        rows.append((str(column), None))
        rows += [(str(r["group"]), r) for _, r in own.iterrows()]
    figure = canvas(WIDTH * 0.85, 0.65 + 0.24 * len(rows))
    ax = figure.subplots()
    for place, (_, found_row) in enumerate(rows):
        if found_row is not None:
            dot_and_whisker(ax, place, found_row, PALETTE[0])
    ax.axvline(overall, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    plain_axes(ax, "x")
    name_rows(ax, [name if r is None else f"{clipped(name, 24)}  (n = {r['n']})" for name, r in rows], 60)
    for label, (_, found_row) in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if found_row is None else "normal")
    ax.set_xlim(0, 1.02)
    ax.set_xlabel("share right, 95 % interval (dashed: all)", color=INK)
    ax.spines["left"].set_visible(False)
    return figure
