"""Explanations, drawn on the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from polydx.report.style import FAINT, GRID, INK, MARKERS, PALETTE, WIDTH, canvas, name_rows, plain_axes
from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

FOR, AGAINST = PALETTE[1], PALETTE[0]
LABELLED, MOST_PARTS, OUTERMOST = 8, 20, 0.02
"""Bands whose wavenumber stands in the figure; the table below it has more."""


def spectral_map(found: pd.DataFrame, bands: pd.DataFrame, label: str, against: str, score: str) -> Figure:
    """Draw a map under the mean spectrum of the patients explained, which is shaded where the map is large.

    Args:
        found: `wavenumber`, `mean`, `sd_folds`, `spectrum`, `reference` of one class.
        bands: `wavenumber`, strongest first.
        label: the class.
        against: what it is held against.
        score: what the map is measured in.
    """
    figure = canvas(WIDTH, 4.3)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    x, mean = found["wavenumber"].to_numpy(), found["mean"].to_numpy()
    _shade(above, x, mean)
    above.plot(x, found["reference"], color=FAINT, linewidth=1.1, linestyle=(0, (5, 2)), label=f"{clipped(against)}")
    above.plot(x, found["spectrum"], color=INK, linewidth=1.3, label=clipped(label))
    above.set_ylabel("intensity")
    above.set_yticks([])
    above.legend(loc="upper right", ncols=2)
    _name_bands(
        above, x, found[["spectrum", "reference"]].to_numpy(dtype=float), bands["wavenumber"].to_numpy()[:LABELLED]
    )
    below.axhline(0, color=FAINT, linewidth=0.8)
    below.fill_between(x, 0, mean, where=mean >= 0, color=FOR, alpha=0.75, linewidth=0)
    below.fill_between(x, 0, mean, where=mean < 0, color=AGAINST, alpha=0.75, linewidth=0)
    sd = found["sd_folds"].to_numpy(dtype=float)
    if np.isfinite(sd).any():
        below.fill_between(x, mean - sd, mean + sd, color=INK, alpha=0.15, linewidth=0, zorder=3)
    below.set_ylabel(score)
    below.set_xlabel("Raman shift in cm⁻¹")
    below.set_xlim(x[0], x[-1])
    plain_axes(below, "x")
    return figure


def shares(
    found: pd.DataFrame, by_patient: pd.DataFrame | None, unit: str, aurocs: pd.DataFrame | None = None
) -> Figure:
    """Draw the mean size of each part's share with its interval, the signed mean, and a tick a patient.

    Args:
        found: `part`, `mean`, `size`, `low`, `high` of one class, the largest first.
        by_patient: `part`, `value`, a row a patient; None where they are not at hand.
        unit: what a share is measured in.
        aurocs: `class`, `part`, `drop`, `sd`, drawn beside the shares; None where there are none.
    """
    found = found.head(MOST_PARTS)
    figure = canvas(WIDTH * (0.8 if aurocs is None else 1), 0.9 + 0.27 * len(found))
    ax, *beside = figure.subplots(1, 1 if aurocs is None else 2, sharey=True, squeeze=False)[0]
    rows = np.arange(len(found))
    ax.barh(rows, found["size"], color=GRID, edgecolor=FAINT, linewidth=0.6, height=0.62)
    for row, (part, low, high, mean) in enumerate(
        zip(*(found[c] for c in ("part", "low", "high", "mean")), strict=True)
    ):
        ax.plot([low, high], [row, row], color=INK, linewidth=1.2, zorder=4)
        ax.plot(mean, row, "D", color=FOR if mean >= 0 else AGAINST, markersize=5, zorder=5)
        if by_patient is not None:
            values = by_patient.loc[by_patient["part"].astype(str) == str(part), "value"]
            ax.plot(values, np.full(len(values), row + 0.4), "|", color=INK, markersize=5, alpha=0.4)
    _clip_patients(ax, found, by_patient)
    ax.axvline(0, color=FAINT, linewidth=0.8)
    name_rows(ax, [str(p) for p in found["part"]])
    ax.set_xlabel(unit)
    plain_axes(ax, "x")
    if aurocs is not None:
        _aurocs(beside[0], aurocs, [str(p) for p in found["part"]])
    return figure


def _clip_patients(ax: Axes, found: pd.DataFrame, by_patient: pd.DataFrame | None) -> None:
    """Leave the outermost patients outside the axis: a few of them would squeeze all bars into a line."""
    if by_patient is None:
        return
    low, high = np.quantile(by_patient["value"], [OUTERMOST, 1 - OUTERMOST])
    most = 1.1 * float(np.nanmax([*found["size"], *found["high"], high]))
    ax.set_xlim(1.1 * min(float(low), float(found["mean"].min()), -0.05 * most), most)


def _aurocs(ax: Axes, found: pd.DataFrame, parts: list[str]) -> None:
    """Draw by how much the AUROC of each class falls, ± SD over repeats; rows as those of the shares."""
    classes = list(dict.fromkeys(found["class"].astype(str)))
    for number, label in enumerate(classes):
        own = found[found["class"].astype(str) == label].set_index("part").reindex(parts)
        rows = np.arange(len(parts)) + 0.5 * ((number + 0.5) / len(classes) - 0.5)
        colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        ax.errorbar(
            own["drop"], rows, xerr=own["sd"], color=colour, fmt=marker, markersize=4, elinewidth=1.1,
            label=clipped(label),
        )  # fmt: skip
    ax.axvline(0, color=FAINT, linewidth=0.8)
    ax.set_xlabel("AUROC lost by permuting it")
    ax.tick_params(axis="y", length=0)
    if len(classes) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    plain_axes(ax, "x")


def examples(pictures: Sequence[np.ndarray], heats: Sequence[np.ndarray], names: Sequence[str]) -> Figure:
    """Draw each image, and beside it the image under its map: orange speaks for the class, blue against it.

    Args:
        pictures: (H, W) or (H, W, 3), 0 to 255.
        heats: (H, W) maps of the same sizes.
        names: what stands over each.
    """
    columns = min(3, len(pictures))
    lines = -(-len(pictures) // columns)
    figure = canvas(WIDTH * columns / 3, 1.5 * lines + 0.3)
    axes = figure.subplots(lines, 2 * columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for i, (picture, heat, name) in enumerate(zip(pictures, heats, names, strict=True)):
        plain, under = axes[2 * i], axes[2 * i + 1]
        for ax in (plain, under):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
        most = float(np.abs(heat).max()) or 1.0
        under.imshow(heat, cmap=_for_against(), vmin=-most, vmax=most, alpha=0.2 + 0.6 * np.abs(heat) / most)
        plain.set_title(clipped(name, 34), fontsize=7, fontweight="normal")
    return figure


def _for_against() -> LinearSegmentedColormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("for-against", [AGAINST, "white", FOR])


def _shade(ax: Axes, x: np.ndarray, mean: np.ndarray) -> None:
    """Colour the background by the map: orange for the class, blue against it."""
    most = float(np.nanmax(np.abs(mean))) if np.isfinite(mean).any() else 0.0
    ax.imshow(
        np.nan_to_num(mean)[None, :],
        aspect="auto",
        extent=(float(x[0]), float(x[-1]), 0.0, 1.0),
        transform=ax.get_xaxis_transform(),
        cmap=_for_against(),
        vmin=-most or -1.0,
        vmax=most or 1.0,
        alpha=0.55,
        interpolation="bilinear",
        zorder=0,
    )


def _name_bands(ax: Axes, x: np.ndarray, curves: np.ndarray, positions: np.ndarray) -> None:
    """Write wavenumbers of the strongest bands above the curves (L, 2), those that would overlap left out."""
    spectrum = np.nanmax(curves, axis=1)
    extent, top = x[-1] - x[0], float(spectrum.max() - np.nanmin(curves))
    ax.set_ylim(np.nanmin(curves) - 0.05 * top, spectrum.max() + 0.28 * top)
    written: list[float] = []
    for position in positions:
        if any(abs(position - other) < extent * 0.022 for other in written):
            continue
        written.append(position)
        height = float(np.interp(position, x, spectrum))
        ax.annotate(
            f"{position:.0f}",
            (position, height),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=7.5,
            color=INK,
        )
