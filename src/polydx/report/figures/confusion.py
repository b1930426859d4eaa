"""Confusion matrix: where answers go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from polydx.report.style import INK, canvas
from polydx.report.words import clipped, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(counts: NDArray[np.float64], classes: Sequence[str], unit: str) -> Figure:
    """Draw counts; the shade of a cell is its share of the true class.

    Args:
        counts: (K, K) true class by row, decided class by column; not whole where they are means over seeds.
        classes: K names.
        unit: what is counted: "patients" or "samples".
    """
    from matplotlib.colors import LinearSegmentedColormap

    k = len(classes)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    names = [clipped(name, 16) for name in classes]
    side = 1.5 + 0.56 * k + 0.07 * max(map(len, names))
    figure = canvas(min(7.2, side + 0.4), min(6.6, 0.95 + 0.5 * k))
    ax = figure.subplots()
    shades = LinearSegmentedColormap.from_list("blues", ["#FFFFFF", "#9CC7E6", "#0072B2"])
    ax.pcolormesh(shares, cmap=shades, vmin=0, vmax=1, edgecolors="#BBBBBB", linewidth=0.7)
    for i, j in np.ndindex(k, k):
        shade = "white" if shares[i, j] > 0.85 else INK
        text, tone = (
            (_cell(float(counts[i, j]), float(shares[i, j]), k), shade) if counts[i, j] > 0 else ("0", "#9A9A9A")
        )
        ax.text(j + 0.5, i + 0.5, text, ha="center", va="center", color=tone, fontsize=8.5)
    level = max(map(len, names)) <= (14 if k <= 3 else 8)
    ax.set_xticks(
        np.arange(k) + 0.5,
        names,
        rotation=0 if level else 40,
        ha="center" if level else "right",
        rotation_mode="anchor" if not level else "default",
    )
    ax.set_yticks(np.arange(k) + 0.5, [f"{n} ({_count(t)})" for n, t in zip(names, totals[:, 0], strict=True)])
    ax.invert_yaxis()
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel(f"answer ({unit})")
    ax.set_ylabel("truth")
    return figure


def _count(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 1e-9 else f"{value:.1f}"


def _cell(count: float, share: float, classes: int) -> str:
    return f"{_count(count)}\n{percent(share)}" if classes <= 8 else _count(count)
