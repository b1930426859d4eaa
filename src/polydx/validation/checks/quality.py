"""Spectra that carry no information, and samples that the reader flagged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.study import Spectra, Study
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed


def constant_spectra(study: Study) -> list[Finding]:
    """Find spectra whose intensities are all the same."""
    found = []
    for name, modality in study.modalities.items():
        if not isinstance(modality, Spectra):
            continue
        index = study.rows[name]
        flat = (modality.values.max(axis=1) == modality.values.min(axis=1))[index.rows]
        samples = pd.unique(study.ids[index.sample_of_row[flat]]).tolist()
        if samples:
            message = (
                f"{counted(len(samples), 'sample')} with a spectrum of one single intensity ({listed(samples)}): "
                "the detector was off or saturated throughout, or the file is empty; leave them out"
            )
            details = {"samples": samples[:MOST_LISTED], "count": len(samples)}
            found.append(Finding("error", "constant-spectra", f"modality '{name}'", message, details))
    return found


def flagged_samples(study: Study) -> list[Finding]:
    """Report each flag of `study.quality`: how many samples, of which patients and classes."""
    if study.quality is None:
        return []
    return [
        f for name in study.quality.columns for f in _flag(study, str(name), study.quality[name].to_numpy(dtype=bool))
    ]


def _flag(study: Study, name: str, flagged: NDArray[np.bool_]) -> Iterator[Finding]:
    if not flagged.any():
        return
    patients = pd.Series(study.patients[flagged]).value_counts()
    classes = {
        task: {label: int((flagged & (study.label_codes(task) == code)).sum()) for code, label in enumerate(t.classes)}
        for task, t in study.tasks.items()
    }
    task, counts = next(iter(classes.items()))
    told = ", ".join(f"{label}: {count}" for label, count in counts.items())
    message = (
        f"{flagged.sum()} of {counted(len(study), 'sample')} flagged, of {counted(len(patients), 'patient')} "
        f"({task}: {told}), most of '{patients.index[0]}' ({patients.iloc[0]}): see whether results hold without them"
    )
    details = {
        "count": int(flagged.sum()),
        "classes": classes,
        "patients": {str(p): int(c) for p, c in patients.head(MOST_LISTED).items()},
    }
    yield Finding("warning", "quality", f"flag '{name}'", message, details)
