"""ROC, calibration and decision curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from polydx.report.style import DASHES, FAINT, WIDTH, canvas, colour, plain_axes
from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def roc_panels(found: pd.DataFrame, band: str | None, order: Sequence[str]) -> Figure:
    """Draw ROC curves.

    Args:
        found: `panel`, `curve`, `fpr`, `tpr`, `low`, `high`.
        band: the curve that gets its band; None for every curve.
        order: all recipes of the run; a recipe's place gives its colour.
    """
    panels = list(found["panel"].unique())
    figure, axes = _square_panels(len(panels))
    for ax, panel in zip(axes, panels, strict=False):
        own = found[found["panel"] == panel]
        for curve, points in own.groupby("curve", sort=False):
            i = order.index(curve)
            main = band is None or curve == band
            ax.plot(
                [0, *points["fpr"]],
                [0, *points["tpr"]],
                color=colour(i),
                linestyle="-" if main else DASHES[1 + i % (len(DASHES) - 1)],
                linewidth=2 if main else 1.1,
                label=clipped(str(curve)),
                zorder=3 if main else 2,
            )
            if main:
                ax.fill_between(points["fpr"], points["low"], points["high"], color=colour(i), alpha=0.16, linewidth=0)
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        _unit_square(ax, "1 − specificity", "sensitivity")
        if len(panels) > 1:
            ax.set_title(clipped(str(panel), 22))
        if own["curve"].nunique() > 1:
            ax.legend(loc="lower right")
    return figure


def calibration_panels(
    found: pd.DataFrame, shares: Mapping[str, np.ndarray], axis_label: str, order: Sequence[str]
) -> Figure:
    """Draw observed against predicted frequency, a panel a recipe, with all probabilities as ticks below.

    Args:
        found: `recipe`, `predicted`, `observed`, `low`, `high`, `units`, a row a bin.
        shares: recipe -> (N,) all predicted probabilities.
        axis_label: what is predicted.
        order: all recipes of the run; a recipe's place gives its colour.
    """
    recipes = list(shares)
    figure, axes = _square_panels(len(recipes))
    for ax, recipe in zip(axes, recipes, strict=False):
        i = order.index(recipe)
        own = found[found["recipe"] == recipe]
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        errors = [(own["observed"] - own["low"]).clip(lower=0), (own["high"] - own["observed"]).clip(lower=0)]
        ax.errorbar(
            own["predicted"],
            own["observed"],
            yerr=np.array(errors),
            fmt="o-",
            color=colour(i),
            markersize=5,
            linewidth=1.2,
            elinewidth=1.1,
        )
        ax.plot(
            shares[recipe],
            np.full(len(shares[recipe]), -0.045),
            "|",
            color=colour(i),
            markersize=5,
            alpha=0.45,
            markeredgewidth=0.7,
        )
        _unit_square(ax, axis_label, "observed share")
        ax.set_ylim(-0.08, 1.03)
        if len(recipes) > 1:
            ax.set_title(clipped(recipe, 22))
    return figure


def decision_curve(found: pd.DataFrame, event: str, order: Sequence[str]) -> Figure:
    """Draw net benefit against the threshold probability.

    Args:
        found: `threshold`, then a column a recipe, and `treat all`.
        event: the positive class.
        order: all recipes of the run; a recipe's place gives its colour.
    """
    figure = canvas(WIDTH * 0.72, 3.1)
    ax = figure.subplots()
    recipes = [c for c in found.columns if c not in ("threshold", "treat all")]
    ax.plot(
        found["threshold"],
        found["treat all"],
        color=FAINT,
        linewidth=1.1,
        linestyle=(0, (1.5, 1.5)),
        label="act on everyone",
    )
    ax.axhline(0, color=FAINT, linewidth=1.1, label="act on no one")
    for recipe in recipes:
        i = order.index(recipe)
        ax.plot(
            found["threshold"],
            found[recipe],
            color=colour(i),
            linestyle="-" if recipe == recipes[0] else DASHES[1 + i % (len(DASHES) - 1)],
            linewidth=1.9 if recipe == recipes[0] else 1.2,
            label=clipped(recipe),
        )
    top = float(found[recipes].to_numpy().max(initial=0.05))
    ax.set_ylim(-0.12 * max(top, 0.1) - 0.02, top * 1.1)
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"threshold probability of {clipped(event, 20)} from which one would act")
    ax.set_ylabel("net benefit")
    plain_axes(ax, "both")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _square_panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(count, 4 if count > 6 else 3 if count != 4 else 2)
    rows = -(-count // columns)
    side = {1: 3.4, 2: 3.2, 3: 2.4, 4: 1.85}[columns]
    figure = canvas(min(WIDTH, side * columns), side * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes[:count]


def _unit_square(ax: Axes, x: str, y: str) -> None:
    """Show 0 to 1 on both axes, named on the outer panels."""
    place = ax.get_subplotspec()
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.03)
    ax.set_aspect("equal")
    ax.set_xticks([0, 0.5, 1])
    ax.set_yticks([0, 0.5, 1])
    ax.set_xlabel(x)
    if place is None or place.is_first_col():
        ax.set_ylabel(y)
    plain_axes(ax, "both")
