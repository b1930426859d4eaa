"""Spectra of different patients that are all but equal: the same measurement, scaled, offset or re-exported.

Shapes: `n` spectra, `L` points, `D` directions of the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.study import FloatArray, IntArray, Spectra, Study
from polydx.validation.checks.findings import MOST_LISTED, Finding

LIMIT = 0.9999
BLOCK = 2048
DIRECTIONS = 64
SLACK = 1e-5  # of float32 products; what they let through is looked at again in float64
ENOUGH = 10_000  # pairs, after which the search stops

Pairs = tuple[IntArray, IntArray, NDArray[np.float64]]


def near_copies(study: Study, limit: float = LIMIT) -> list[Finding]:
    """Find pairs of spectra of different patients that correlate above `limit`, equal ones aside."""
    found = []
    for name, modality in study.modalities.items():
        if not isinstance(modality, Spectra):
            continue
        index = study.rows[name]
        sample = np.full(len(modality), -1)
        sample[index.rows] = index.sample_of_row
        owners = np.where(sample >= 0, study.patient_codes[0][sample], -1)
        first, second, correlation = correlated_pairs(modality.values, owners, limit)
        if len(first):
            found.append(_finding(study, name, sample[first], sample[second], correlation, limit))
    return found


def correlated_pairs(values: FloatArray, owners: IntArray, limit: float = LIMIT) -> Pairs:
    """Return pairs of rows of different owners whose Pearson correlation exceeds `limit`, without equal rows.

    Every pair has a bound that costs `D` products instead of `L`: for unit vectors a = Pa + a', with P a projection,
    a.b <= Pa.Pb + |a'||b'| (Cauchy-Schwarz). Only rows whose bound exceeds the limit are correlated in full. Works in
    blocks: memory does not grow with the number of pairs, except for those returned.

    Args:
        values: (n, L).
        owners: (n,) codes; rows of one owner are not compared, rows of -1 with none.
        limit: of the correlation.

    Returns:
        Row numbers (m,), (m,) and correlations (m,) in float64, in falling order; the search ends after `ENOUGH`.
    """
    short = _coordinates(values)
    found: list[Pairs] = []
    for rows, columns in _candidates(short, owners, limit - SLACK):
        for pairs in _verified(values, owners, rows, columns, limit):
            found.append(pairs)
            if sum(len(p[0]) for p in found) >= ENOUGH:
                return _sorted(found)
    return _sorted(found)


def _coordinates(values: FloatArray) -> NDArray[np.float32]:
    """Return (n, D + 1): each standardised row in D directions, and the length of what is left."""
    step = max(1, len(values) // DIRECTIONS)
    basis, _ = np.linalg.qr(_standardised(values[::step][:DIRECTIONS]).T)
    short = np.empty((len(values), basis.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        standard = _standardised(values[rows])
        inside = standard @ basis
        left = np.square(standard).sum(axis=1) - np.square(inside).sum(axis=1)
        short[rows, :-1], short[rows, -1] = inside, np.sqrt(np.maximum(left, 0))
    return short


def _candidates(short: NDArray[np.float32], owners: IntArray, limit: float) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield rows and columns, one block against another, among which pairs above the limit may lie."""
    for top in range(0, len(short), BLOCK):
        for left in range(top, len(short), BLOCK):
            near = short[top : top + BLOCK] @ short[left : left + BLOCK].T >= limit
            if near.any():
                near &= owners[top : top + BLOCK, None] != owners[None, left : left + BLOCK]
                yield top + np.flatnonzero(near.any(axis=1)), left + np.flatnonzero(near.any(axis=0))


def _verified(values: FloatArray, owners: IntArray, rows: IntArray, columns: IntArray, limit: float) -> Iterator[Pairs]:
    """Yield the pairs that do lie above the limit: screened in float32, decided in float64."""
    if not len(rows) or not len(columns):
        return
    screen = _standardised(values[rows]).astype(np.float32) @ _standardised(values[columns]).astype(np.float32).T
    i, j = np.nonzero(screen >= limit - SLACK)
    first, second = rows[i], columns[j]
    kept = (first < second) & (owners[first] != owners[second]) & (owners[first] >= 0) & (owners[second] >= 0)
    first, second = first[kept], second[kept]
    for start in range(0, len(first), BLOCK):
        a, b = first[start : start + BLOCK], second[start : start + BLOCK]
        correlation = np.einsum("pl,pl->p", _standardised(values[a]), _standardised(values[b]))
        close = (correlation > limit) & (values[a] != values[b]).any(axis=1)
        yield a[close], b[close], correlation[close]


def _standardised(values: FloatArray) -> NDArray[np.float64]:
    """Return rows of mean 0 and length 1, so that products are correlations; constant rows become 0."""
    centred = np.asarray(values, dtype=np.float64) - values.mean(axis=1, dtype=np.float64, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(length > 0, length, 1))


def _sorted(found: list[Pairs]) -> Pairs:
    empty = np.empty(0, np.int64)
    first, second = (np.concatenate([empty, *(p[side] for p in found)]) for side in (0, 1))
    correlation = np.concatenate([np.empty(0), *(p[2] for p in found)])
    order = np.argsort(-correlation, kind="stable")
    return first[order], second[order], correlation[order]


def _finding(
    study: Study, name: str, first: IntArray, second: IntArray, correlation: NDArray[np.float64], limit: float
) -> Finding:
    pairs: list[dict[str, Any]] = [
        {
            "samples": [study.ids[a], study.ids[b]],
            "patients": [study.patients[a], study.patients[b]],
            "correlation": round(float(c), 7),
        }
        for a, b, c in zip(first[:MOST_LISTED], second[:MOST_LISTED], correlation, strict=False)
    ]
    many = f"at least {len(first)} pairs" if len(first) >= ENOUGH else counted(len(first), "pair")
    top = pairs[0]
    message = (
        f"{many} of spectra of different patients correlate above {limit}, such as samples '{top['samples'][0]}' and "
        f"'{top['samples'][1]}' ({top['correlation']:.6f}): look at them; if they are one measurement, leave one out"
    )
    return Finding("warning", "near-copies", f"modality '{name}'", message, {"count": len(first), "pairs": pairs})
