"""The figures of an explanation, from its tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from polydx.explain.store import Explanation
from polydx.report.figures.explained import examples, shares, spectral_map
from polydx.report.style import drawing, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIMULATED = "SIMULATED DATA"
UNITS = {
    "permutation": "nats lost by permuting a column",
    "shapley": "share of the log-odds",
    "occlusion": "loss of log-odds",
    "integrated_gradients": "share of the log-odds",
    "grad_cam": "Grad-CAM (no unit)",
    "modalities": "share of the log-odds",
}


def figures(found: Explanation) -> dict[str, str]:
    """Return name -> SVG text, one a class."""
    done: dict[str, str] = {}
    for entry in found.about["classes"]:
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in str(entry["class"]))
        name = f"{found.about['kind']}-{safe}"
        done[name if name not in done else f"{name}-{len(done)}"] = figure(found, entry)
    return done


def figure(found: Explanation, entry: Mapping[str, Any]) -> str:
    """Return the SVG text of one class."""
    about = found.about
    with drawing():
        drawn = draw(found, entry)
        title = f"{about['task']}: {entry['class']}, by {about['recipe']}"
        drawn.suptitle(f"{SIMULATED}   {title}" if about["simulated"] else title, fontsize=9)
        return to_svg(drawn)


def draw(found: Explanation, entry: Mapping[str, Any]) -> Figure:
    """Return the figure of one class; to be called inside `drawing`."""
    kind, label = found.about["kind"], entry["class"]
    if kind == "spectra":
        own, bands = of_class(found.tables["maps"], label), of_class(found.tables["bands"], label)
        return spectral_map(own, bands, label, entry["against"], UNITS[found.about["method"]])
    if kind == "images":
        own = of_class(found.tables["examples"], label)
        names = [f"{s} ({p:.2f})" for s, p in zip(own["sample"], own["probability"], strict=True)]
        pictures, heats = ([found.arrays[f"{what}-{n}"] for n in own["number"]] for what in ("picture", "heat"))
        return examples(pictures, heats, names)
    people = None if found.folds is None else of_class(found.folds, label)
    aurocs = found.tables.get("auroc")
    return shares(of_class(found.tables["shares"], label), people, UNITS[found.about["method"]], aurocs)


def of_class(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return the rows of one class."""
    return table.loc[table["class"].astype(str) == label]
