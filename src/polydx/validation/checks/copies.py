"""The same measurement under two names: between patients it is leakage, within one it counts double."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from polydx.errors import counted
from polydx.study import Spectra, Study, Table
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed

UNLIKELY = 0.01  # expected number of coincidences below which two equal rows of a table are suspicious
NOUNS = {"spectra": "spectrum", "images": "image"}
PLURALS = {"spectra": "spectra", "images": "images"}


def copies(study: Study) -> list[Finding]:
    """Find spectra and images with the same content, across the modalities of a kind, and equal rows of tables.

    Constant spectra are left to the check of their own.
    """
    found = []
    for kind in NOUNS:
        names = [name for name, modality in study.modalities.items() if modality.kind == kind]
        if names:
            owned = pd.concat([_owned(study, name) for name in names], ignore_index=True)
            found += [*_between_patients(owned, kind), *_within_patients(study, owned)]
    for name, modality in study.modalities.items():
        if isinstance(modality, Table):
            found += _equal_rows(study, name, modality.frame)
    return found


def _owned(study: Study, name: str) -> pd.DataFrame:
    """Return a row for each pair of a measurement and a sample that has it."""
    modality, index = study.modalities[name], study.rows[name]
    content = np.array([hashlib.sha256(modality.content(i)).digest() for i in range(len(modality))], dtype=object)
    owned = pd.DataFrame(
        {
            "content": content[index.rows],
            "measurement": [f"{name}/{row}" for row in index.rows],
            "modality": name,
            "sample": study.ids[index.sample_of_row],
            "patient": study.patients[index.sample_of_row],
        }
    )
    if isinstance(modality, Spectra):
        owned = owned[np.ptp(modality.values, axis=1)[index.rows] > 0]
    return owned


def _between_patients(owned: pd.DataFrame, kind: str) -> Iterator[Finding]:
    """Yield one error for each set of patients that share measurements."""
    shared = owned[owned.groupby("content")["patient"].transform("nunique") > 1]
    sets: dict[tuple[str, ...], list[list[str]]] = {}
    for _, group in shared.groupby("content", sort=False):
        sets.setdefault(tuple(sorted(group["patient"].unique())), []).append(group["sample"].unique().tolist())
    for patients, groups in sets.items():
        what = f"the same {NOUNS[kind]}" if len(groups) == 1 else f"{len(groups)} {PLURALS[kind]} in common"
        message = (
            f"have {what} (samples {listed(groups[0])}): find out whose it is and leave the others out, or give them "
            "one patient if they are one person"
        )
        details = {"patients": list(patients), "samples": groups[:MOST_LISTED], "count": len(groups)}
        yield Finding("error", "copies", f"patients {listed(patients)}", message, details)


def _within_patients(study: Study, owned: pd.DataFrame) -> Iterator[Finding]:
    """Yield one warning for measurements that a patient has twice; a copy in another modality is told elsewhere."""
    by_content = owned.groupby("content")
    in_place = (by_content["sample"].transform("nunique") == 1) & (by_content["modality"].transform("nunique") > 1)
    repeated = (by_content["measurement"].transform("nunique") > 1) & (by_content["patient"].transform("nunique") == 1)
    repeated &= ~in_place
    groups = [
        {
            "patient": group["patient"].iloc[0],
            "samples": group["sample"].unique().tolist(),
            "modalities": sorted(set(group["modality"])),
        }
        for _, group in owned[repeated].groupby("content", sort=False)
    ]
    if not groups:
        return
    first = groups[0]
    between = f" as {' and '.join(first['modalities'])}" if len(first["modalities"]) > 1 else ""
    message = (
        f"{counted(len(groups), 'measurement')} stored more than once within a patient, such as samples "
        f"{listed(first['samples'])} of patient '{first['patient']}'{between}: a copy adds no information; leave it out"
    )
    yield Finding(
        "warning", "copies", f"study '{study.name}'", message, {"count": len(groups), "groups": groups[:MOST_LISTED]}
    )


def _equal_rows(study: Study, name: str, frame: pd.DataFrame) -> Iterator[Finding]:
    """Yield a warning on table rows equal between patients where chance does not explain them.

    Two people may share an age and a sex, so rows only count if independent columns would hardly ever agree in all.
    """
    index = study.rows[name]
    cells = frame.apply(lambda column: pd.factorize(column, use_na_sentinel=False)[0])
    agreement = np.prod([np.square(cells[c].value_counts(normalize=True)).sum() for c in cells]) if len(cells) else 1
    if len(cells.columns) == 0 or agreement * len(cells) * (len(cells) - 1) / 2 > UNLIKELY:
        return
    group = cells.groupby(list(cells.columns), sort=False).ngroup().to_numpy()
    owned = pd.DataFrame(
        {
            "group": group[index.rows],
            "sample": study.ids[index.sample_of_row],
            "patient": study.patients[index.sample_of_row],
        }
    )
    shared = owned[owned.groupby("group")["patient"].transform("nunique") > 1]
    groups = [g["sample"].drop_duplicates().tolist() for _, g in shared.groupby("group", sort=False)]
    if groups:
        message = (
            f"{counted(len(groups), 'row')} the same in every column for several patients, such as samples "
            f"{listed(groups[0])}: are they one person, or was a row copied?"
        )
        yield Finding(
            "warning", "copies", f"modality '{name}'", message, {"count": len(groups), "samples": groups[:MOST_LISTED]}
        )
