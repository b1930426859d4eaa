"""The strongest bands of a map, and what the literature ascribes bands there to.

An assignment is a candidate, not a proof: several molecules share most wavenumbers, positions move with the instrument,
the sample and its preparation, and a model may rest on a band for a reason that has nothing to do with disease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SOURCES = {
    1: "Movasaghi, Rehman & Rehman (2007), Applied Spectroscopy Reviews 42(5), 493-541",
    2: "Talari, Movasaghi, Rehman & Rehman (2015), Applied Spectroscopy Reviews 50(1), 46-111",
}
"""The reviews that the table sums up, in our own words; each cites the measurements behind it."""

LIMITS = (
    "Assignments are candidates from reviews of tissue and biofluids, not proofs: most wavenumbers are shared by "
    "several molecules, and a band may carry a class for a reason other than disease."
)
APART = 12.0
"""Two peaks of a map nearer than this, in cm^-1, count as one band."""


@dataclass(frozen=True)
class Assignment:
    """A band of tissue or a biofluid in a Raman spectrum.

    Attributes:
        position: in cm^-1, rounded from what the reviews list.
        tolerance: how far from it, in cm^-1, a band may lie and still be thought of.
        assignment: the vibration.
        molecules: whose.
        source: key of `SOURCES`.
    """

    position: float
    tolerance: float
    assignment: str
    molecules: str
    source: int


@cache
def assignments() -> tuple[Assignment, ...]:
    """Return the table, by position."""
    with (files("polydx.explain") / "raman_bands.csv").open(encoding="utf-8") as stream:
        table = pd.read_csv(stream)
    return tuple(
        Assignment(float(r.position), float(r.tolerance), str(r.assignment), str(r.molecules), int(r.source))  # type: ignore[arg-type]
        for r in table.itertuples()
    )


def candidates(wavenumber: float) -> list[Assignment]:
    """Return the assignments within whose tolerance a wavenumber lies, nearest first."""
    near = [a for a in assignments() if abs(a.position - wavenumber) <= a.tolerance]
    return sorted(near, key=lambda a: abs(a.position - wavenumber))


def strongest(values: Floats, axis: Floats, most: int = 12, apart: float = APART) -> list[int]:
    """Return the points of the strongest peaks of |values|, strongest first.

    Args:
        values: (L,) a map; NaN where it says nothing.
        axis: (L,) in cm^-1.
        most: how many at most.
        apart: distance of two peaks in cm^-1 below which the lower one is left out.
    """
    height = np.nan_to_num(np.abs(values))
    padded = np.concatenate([[-1.0], height, [-1.0]])
    peaks = np.flatnonzero((height >= padded[:-2]) & (height > padded[2:]) & (height > 0))
    kept: list[int] = []
    for point in peaks[np.argsort(-height[peaks], kind="stable")]:
        if all(abs(axis[point] - axis[other]) >= apart for other in kept):
            kept.append(int(point))
        if len(kept) == most:
            break
    return kept


def band_table(values: Floats, axis: Floats, fold_means: Sequence[Floats], most: int = 12) -> pd.DataFrame:
    """Return the strongest bands of a map with what they may be.

    Args:
        values: (L,) mean map.
        axis: (L,) in cm^-1.
        fold_means: (L,) of each fold.
        most: how many bands.

    Returns:
        wavenumber, value, share (of the strongest), folds_agreeing (share of the folds of the same sign there),
        molecules, assignment, source; the last three are empty where the table knows nothing.
    """
    rows = []
    points = strongest(values, axis, most)
    for point in points:
        near = candidates(float(axis[point]))
        signs = [np.sign(mean[point]) == np.sign(values[point]) for mean in fold_means]
        rows.append(
            {
                "wavenumber": float(axis[point]),
                "value": float(values[point]),
                "share": float(abs(values[point]) / abs(values[points[0]])),
                "folds_agreeing": float(np.mean(signs)),
                "molecules": " / ".join(f"{a.molecules} ({a.position:g})" for a in near),
                "assignment": " / ".join(a.assignment for a in near),
                "source": " / ".join(str(s) for s in sorted({a.source for a in near})),
            }
        )
    columns = ["wavenumber", "value", "share", "folds_agreeing", "molecules", "assignment", "source"]
    return pd.DataFrame(rows, columns=columns)
