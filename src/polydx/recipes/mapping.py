"""The source network as it is: its classes mapped to those of a task, on training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LAPLACE = 1.0


@dataclass(frozen=True)
class ClassMapping:
    """Tables of P(class of the task | class of the source).

    Attributes:
        source: task of the source network whose classes are mapped.
        tables: task -> (S, K), rows summing to 1.
    """

    source: str
    tables: Mapping[str, Float]

    def apply(self, probabilities: Mapping[str, Float]) -> dict[str, Float]:
        """Return task -> (n, K) for the source's probabilities (n, S): the tables' rows, weighted by them."""
        return {task: probabilities[self.source] @ table for task, table in self.tables.items()}

    def describe(self, tasks: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Return a sentence a task: how many source classes speak for each of its classes."""
        said = []
        for task, table in self.tables.items():
            best = np.bincount(table.argmax(axis=1), minlength=table.shape[1])
            told = ", ".join(f"{label}: {n}" for label, n in zip(tasks[task], best, strict=True))
            said.append(f"task '{task}': of {len(table)} source classes, most likely {told}")
        return said


def fit_mapping(source: Float, codes: Int, classes: int, weights: Float) -> Float:
    """Return the table P(class | source class), with one imagined sample of each class (Laplace smoothing).

    Args:
        source: (n, S) probabilities of the source classes on training rows; a row counts for each by its share.
        codes: (n,) class codes, -1 for no label.
        classes: K.
        weights: (n,) of the rows.
    """
    labelled = codes >= 0
    votes = np.eye(classes)[codes[labelled]] * weights[labelled, None]  # (n, K)
    counts = source[labelled].T @ votes + LAPLACE  # (S, K)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def row_weights(codes: Int, patients: Int, classes: int, balanced: bool) -> Float:
    """Return (n,) weights by which patients count alike, and with `balanced` classes too; 1 on average."""
    weights = np.zeros(len(codes))
    labelled = codes >= 0
    if not labelled.any():
        return weights
    from polydx.training.losses import balanced_class_weights

    _, owner, rows = np.unique(patients[labelled], return_inverse=True, return_counts=True)
    own = 1.0 / rows[owner]
    if balanced:
        own = own * balanced_class_weights(codes, classes, patients)[codes[labelled]]
    weights[labelled] = own / own.mean()
    return weights


def two_columns(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a single logit (n, 1) of the second class a zero for the first: their softmax is its sigmoid."""
    return logits if logits.shape[1] > 1 else np.hstack([np.zeros_like(logits), logits])
