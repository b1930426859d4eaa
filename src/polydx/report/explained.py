"""The figures of an explanation, from its tables alone."""

from __future__ import annotations

from typing import Any

import pandas as pd

from polydx.explain.store import Explanation
from polydx.report.figures.explained import shares, spectral_map
from polydx.report.style import drawing, to_svg

SIMULATED = "SIMULATED DATA"
UNITS = {
    "permutation": "loss when the column is another patient's, in nats",
    "shapley": "share of the log-odds",
    "modalities": "share of the log-odds",
}


def figures(found: Explanation) -> dict[str, str]:
    """Return name -> SVG text, one a class."""
    return {f"{found.about['kind']}-{entry['class']}": figure(found, entry) for entry in found.about["classes"]}


def figure(found: Explanation, entry: dict[str, Any]) -> str:
    """Return the SVG text of one class."""
    about, label = found.about, entry["class"]
    with drawing():
        if about["kind"] == "spectra":
            own, bands = of_class(found.tables["maps"], label), of_class(found.tables["bands"], label)
            drawn = spectral_map(own, bands, label, entry["against"], "share of the log-odds")
        else:
            own = of_class(found.tables["shares"], label)
            people = None if found.folds is None else of_class(found.folds, label)
            drawn = shares(own, people, UNITS[about["method"]])
        title = f"{about['task']}: {label}, by {about['recipe']}"
        drawn.suptitle(f"{SIMULATED}   {title}" if about["simulated"] else title, fontsize=9)
        return to_svg(drawn)


def of_class(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return the rows of one class."""
    return table.loc[table["class"].astype(str) == label]
