"""What recipes lose without modalities, and how networks weighed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from polydx.report.figures.intervals import dot_and_whisker
from polydx.report.style import FAINT, INK, MARKERS, WIDTH, canvas, colour, name_rows, plain_axes
from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scenario_differences(found: pd.DataFrame, what: str, order: Sequence[str]) -> Figure:
    """Draw what each recipe gains or loses in each scenario, recipes one below the other.

    Args:
        found: `recipe`, `scenario`, `n`, `estimate`, `low`, `high`, a row a scenario; nulls as NaN.
        what: name of the metric.
        order: all recipes of the run; a recipe's place gives its colour.
    """
    rows: list[tuple[str, pd.Series[Any] | None, str]] = []
    for recipe, own in found.groupby("recipe", sort=False):
        rows.append((str(recipe), None, str(recipe)))
        rows += [(str(r["scenario"]), r, str(recipe)) for _, r in own.iterrows()]
    figure = canvas(WIDTH * 0.9, 0.65 + 0.24 * len(rows))
    ax = figure.subplots()
    for place, (_, row, recipe) in enumerate(rows):
        if row is not None:
            index = order.index(recipe)
            dot_and_whisker(ax, place, row, colour(index), MARKERS[index % len(MARKERS)])
    ax.axvline(0, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    plain_axes(ax, "x")
    name_rows(ax, [name if r is None else f"{clipped(name, 30)}  (n = {r['n']})" for name, r, _ in rows], 60)
    for label, (_, row, _) in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row is None else "normal")
    ax.set_xlabel(f"{what}: difference from all modalities, 95 % interval (dashed: none)", color=INK)
    ax.spines["left"].set_visible(False)
    return figure


def weight_spread(found: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Draw the weights of each modality over samples: a line from the 5th to the 95th percentile, a dot at the median.

    Args:
        found: `recipe`, `modality`, `samples`, `median`, `low`, `high`.
        order: all recipes of the run; a recipe's place gives its colour.
    """
    names = list(found["modality"].unique())
    recipes = list(found["recipe"].unique())
    figure = canvas(WIDTH * 0.9, 0.85 + 0.3 * len(names) * max(1.0, 0.6 * len(recipes)))
    ax = figure.subplots()
    shifts = np.linspace(-0.25, 0.25, len(recipes)) if len(recipes) > 1 else np.zeros(1)
    for shift, recipe in zip(shifts, recipes, strict=True):
        index = order.index(recipe)
        own = found[found["recipe"] == recipe].set_index("modality")
        for place, name in enumerate(names):
            if name in own.index:
                row = own.loc[name].rename({"median": "estimate"})
                dot_and_whisker(ax, place + float(shift), row, colour(index), MARKERS[index % len(MARKERS)])
        ax.plot([], [], MARKERS[index % len(MARKERS)], color=colour(index), label=clipped(recipe, 24))
    plain_axes(ax, "x")
    name_rows(ax, names, 28)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("attention weight, not importance", color=INK)
    ax.spines["left"].set_visible(False)
    figure.legend(loc="outside upper right", ncols=min(4, len(recipes)))
    return figure
