"""How good an embedding is, without training anything on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]

MOST_ROWS = 2000
"""A probe compares all pairs; of more rows than this, an even selection stands for all."""


def knn_accuracy(embeddings: Float, codes: NDArray[np.int64], patients: NDArray[np.int64], k: int = 5) -> float | None:
    """Return the balanced accuracy of k nearest neighbours among other patients, by cosine.

    Args:
        embeddings: (N, D).
        codes: (N,) class codes; rows with -1 take no part.
        patients: (N,) patient codes; neighbours of the same patient do not count, or patients would be recognised.
        k: neighbours; fewer where there are not so many. The nearest wins a tie.

    Returns:
        The mean over classes of the share that is right; None with fewer than two classes or patients.
    """
    kept = selection(np.flatnonzero(codes >= 0))
    codes, patients = codes[kept], patients[kept]
    if len(np.unique(codes)) < 2 or len(np.unique(patients)) < 2:
        return None
    unit = _unit(embeddings[kept])
    similarity = unit @ unit.T
    similarity[patients[:, None] == patients[None]] = -np.inf
    k = min(k, int((similarity > -np.inf).sum(axis=1).min()))
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]  # (N, k)
    classes = np.unique(codes)
    # A little more for nearer neighbours, less than one vote in all.
    votes = 1.0 + np.linspace(0.5, 0.0, k) / k
    tally = np.stack([((codes[nearest] == c) * votes).sum(axis=1) for c in classes], axis=1)
    right = classes[tally.argmax(axis=1)] == codes
    return float(np.mean([right[codes == c].mean() for c in classes]))


def spread(projections: Float) -> float:
    """Return how far projections of length 1 spread: 1 over the whole sphere, 0 when all have become one point.

    The mean standard deviation of the coordinates times sqrt(D); Chen & He (2021), CVPR, section 4.1.
    """
    return float(_unit(projections).std(axis=0).mean() * np.sqrt(projections.shape[1]))


def effective_rank(embeddings: Float) -> float:
    """Return how many directions the centred embeddings (N, D) use: exp of the entropy of their singular values.

    Reference: Roy & Vetterli (2007), EUSIPCO, definition 1.
    """
    values = np.linalg.svd(embeddings - embeddings.mean(axis=0), compute_uv=False)
    if values.sum() == 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def selection(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most `MOST_ROWS` of the rows, evenly spaced."""
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]


def _unit(x: Float) -> NDArray[np.float64]:
    wide = x.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
