"""What maps of spectra come to: tables, the strongest bands, how far the folds agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from polydx.explain.assignments import band_table
from polydx.explain.spectral import SpectralMap
from polydx.explain.store import Explanation

BANDS_TOLD = 5


def of_spectra(maps: Sequence[SpectralMap], about: Mapping[str, Any]) -> Explanation:
    """Return the maps of the classes as tables.

    Args:
        maps: one a class.
        about: recipe, method, modality, task, study and so on, which the counts are added to.
    """
    bands = []
    for found in maps:
        table = band_table(found.mean, found.axis, [fold.mean for fold in found.folds])
        table.insert(0, "class", found.target.label)
        bands.append(table)
    told = {
        **about,
        "patients": len({p for found in maps for fold in found.folds for p in fold.patients}),
        "fits": max(len(found.folds) for found in maps),
        "classes": [_class(found, table) for found, table in zip(maps, bands, strict=True)],
    }
    tables = {"maps": pd.concat([m.frame() for m in maps]), "bands": pd.concat(bands)}
    return Explanation(told, tables, pd.concat([m.fold_frame() for m in maps]))


def _class(found: SpectralMap, bands: pd.DataFrame) -> dict[str, Any]:
    return {
        "class": found.target.label,
        "against": found.target.against,
        "patients": found.patients,
        "fits": len(found.folds),
        "correlation_of_folds": found.correlation,
        "bands": bands.head(BANDS_TOLD)[["wavenumber", "value", "molecules"]].to_dict("records"),
    }
