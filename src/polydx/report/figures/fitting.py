"""Learning curves, and the mean spectra that were learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from polydx.report.style import DASHES, FAINT, PALETTE, WIDTH, canvas, colour, plain_axes
from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_OVERLAID = 3


def learning_curves(found: pd.DataFrame, best: Mapping[str, list[float]]) -> Figure:
    """Draw loss by epoch, median over fits with the band from the 10th to the 90th percentile, a panel a recipe.

    Args:
        found: `recipe`, `curve`, `epoch`, `median`, `low`, `high`, `fits`.
        best: recipe -> epochs whose weights were kept, one a fit; drawn as ticks at the foot.
    """
    from matplotlib.ticker import MaxNLocator

    recipes = list(found["recipe"].unique())
    columns = min(2, len(recipes))
    rows = -(-len(recipes) // columns)
    figure = canvas(min(WIDTH, 5.2 * columns), 2.6 * rows + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, recipe in zip(axes, recipes, strict=False):
        own = found[found["recipe"] == recipe]
        for i, (curve, points) in enumerate(own.groupby("curve", sort=False)):
            alone = "o" if len(points) == 1 else None
            ax.plot(
                points["epoch"], points["median"], color=colour(i), linestyle=DASHES[i], marker=alone, label=str(curve)
            )
            ax.fill_between(points["epoch"], points["low"], points["high"], color=colour(i), alpha=0.16, linewidth=0)
        kept = best.get(recipe, [])
        ax.plot(
            kept,
            np.full(len(kept), 0.02),
            "|",
            transform=ax.get_xaxis_transform(),
            color=PALETTE[2],
            markersize=8,
            markeredgewidth=1,
        )
        ax.set_title(clipped(recipe))
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if own["epoch"].nunique() == 1:
            ax.set_xlim(own["epoch"].iloc[0] - 0.5, own["epoch"].iloc[0] + 0.5)
        ax.set_ylabel("loss")
        ax.set_ylim(0, min(1.05 * own["high"].max(), 2.5 * own["median"].max()))
        plain_axes(ax, "y")
    for ax in axes[len(recipes) :]:
        ax.set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure


def class_spectra(axis: list[float], classes: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw mean spectra of classes with one standard deviation between patients.

    Up to three classes lie over each other; more are set apart, each on its own base line.

    Args:
        axis: (L,) Raman shift in cm^-1.
        classes: name -> `patients`, `mean` and `sd`, both (L,).
    """
    apart = len(classes) > MOST_OVERLAID
    figure = canvas(WIDTH, 2.7 if not apart else 1.1 + 0.55 * len(classes))
    ax = figure.subplots()
    if apart:
        _stacked(ax, axis, classes)
    else:
        for i, (name, found) in enumerate(classes.items()):
            mean, sd = np.array(found["mean"]), np.array(found["sd"])
            ax.plot(
                axis,
                mean,
                color=colour(i),
                linestyle=DASHES[i],
                linewidth=1.2,
                label=f"{clipped(name)} ({found['patients']})",
            )
            ax.fill_between(axis, mean - sd, mean + sd, color=colour(i), alpha=0.18, linewidth=0)
        ax.legend(loc="best")
    ax.set_xlim(axis[0], axis[-1] if not apart else axis[-1] + 0.16 * (axis[-1] - axis[0]))
    ax.set_xlabel("Raman shift (cm⁻¹)")
    ax.set_ylabel("intensity as read" + (", set apart" if apart else ""))
    plain_axes(ax)
    return figure


def _stacked(ax: Axes, axis: list[float], classes: Mapping[str, Mapping[str, Any]]) -> None:
    means = {name: np.array(found["mean"]) for name, found in classes.items()}
    step = 0.75 * max(float(np.ptp(mean)) for mean in means.values())
    for i, (name, found) in enumerate(classes.items()):
        base = step * (len(classes) - 1 - i)
        mean, sd = means[name] - means[name].min() + base, np.array(found["sd"])
        ax.plot(axis, mean, color=colour(i), linewidth=1.1)
        ax.fill_between(axis, mean - sd, mean + sd, color=colour(i), alpha=0.18, linewidth=0)
        ax.annotate(
            f"{clipped(name, 14)} ({found['patients']})",
            (axis[-1], mean[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour(i),
            fontsize=8.5,
        )
    ax.set_yticks([])
    ax.spines["left"].set_color(FAINT)
