"""A copy of one modality in another's place: a sequence that was not taken, filled with one that was."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.io.copied import equal_entries, row_digests
from polydx.modalities import Images, Spectra
from polydx.study import Study
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed

NOUNS = {"spectra": "spectrum", "images": "image"}


def copied_modalities(study: Study) -> list[Finding]:
    """Find samples that have the same spectrum, or the same pixels, in two modalities of one kind.

    Of two modalities the one that others copy too is taken as the original, else the first: only the user knows.
    """
    pairs = list(_pairs(study))
    shared = {name: sum(int(where.sum()) for *both, where in pairs if name in both) for name in study.modalities}
    directed = [(one, other, w) if shared[one] >= shared[other] else (other, one, w) for one, other, w in pairs]
    told = {name: np.zeros(len(study), dtype=np.bool_) for name in study.modalities}
    found = []
    for original, copy, where in sorted(directed, key=lambda pair: -shared[pair[0]]):
        left = where & ~told[copy]  # the same in three modalities is told once
        told[copy] |= where
        if left.any():
            found.append(_finding(study, copy, original, left))
    return found


def _pairs(study: Study) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield two modalities of a kind, and the samples in which they share a row."""
    for kind in (Spectra, Images):
        names = [name for name, modality in study.modalities.items() if isinstance(modality, kind)]
        if len(names) < 2:
            continue
        entries = {name: _entries(study, name) for name in names}
        for one, other in combinations(names, 2):
            sample, _ = entries[one]
            equal = equal_entries(*entries[one], *entries[other])
            if equal.any():
                where = np.zeros(len(study), dtype=np.bool_)
                where[sample[equal]] = True
                yield one, other, where


def _entries(study: Study, name: str) -> tuple[NDArray[np.int64], list[bytes]]:
    """Return the sample and the content of each row that a sample has."""
    index = study.rows[name]
    digests = row_digests(study.modalities[name], np.unique(index.rows))
    return index.sample_of_row, [digests[int(row)] for row in index.rows]


def _finding(study: Study, copy: str, original: str, where: NDArray[np.bool_]) -> Finding:
    samples = study.ids[where].tolist()
    noun = NOUNS[study.modalities[copy].kind]
    message = (
        f"{counted(len(samples), 'sample')} with the same {noun} as in '{original}' ({listed(samples)}): a copy in the "
        f"place of what was not measured is missing data; set `copy_of: {original}` at '{copy}' (or the other way "
        f"round, if '{original}' is the copy)"
    )
    details = {"original": original, "count": len(samples), "samples": samples[:MOST_LISTED]}
    return Finding("warning", "copied-modality", f"modality '{copy}'", message, details)
