"""The figures of an explanation, from its tables alone."""

from __future__ import annotations

import pandas as pd

from polydx.explain.store import Explanation
from polydx.report.figures.explained import spectral_map
from polydx.report.style import drawing, to_svg

SIMULATED = "SIMULATED DATA"


def figures(found: Explanation) -> dict[str, str]:
    """Return name -> SVG text, one a class."""
    about, done = found.about, {}
    for entry in about["classes"]:
        label = entry["class"]
        own, bands = of_class(found.tables["maps"], label), of_class(found.tables["bands"], label)
        with drawing():
            figure = spectral_map(own, bands, label, entry["against"], "share of the log-odds")
            title = f"{about['task']}: {label}, by {about['recipe']}"
            figure.suptitle(f"{SIMULATED}   {title}" if about["simulated"] else title, fontsize=9)
            done[f"map-{label}"] = to_svg(figure)
    return done


def of_class(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return the rows of one class."""
    return table.loc[table["class"].astype(str) == label]
