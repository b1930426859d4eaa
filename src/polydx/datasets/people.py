"""Simulated patients: their classes, which labels are missing, and who they are.

Shapes: `P` patients, `K` classes of a task.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.study import UNLABELLED

IntArray = NDArray[np.int64]

FEWEST = 3  # patients a class
SEVERITY = 0.6  # correlation of each task's latent value with the patient's severity


def draw_classes(patients: int, shares: Mapping[str, Sequence[float]], rng: np.random.Generator) -> dict[str, IntArray]:
    """Draw classes by ranking patients on a latent value a task, correlated through their severity.

    Ranks, not thresholds, so that each class has exactly the patients it should.

    Args:
        patients: P.
        shares: a task's (K,) shares of the patients, beyond the `FEWEST` that every class is given.
        rng: where latent values are drawn from.

    Returns:
        (P,) class codes a task.
    """
    severity = rng.standard_normal(patients)
    drawn = {}
    for task, share in shares.items():
        latent = SEVERITY * severity + math.sqrt(1 - SEVERITY**2) * rng.standard_normal(patients)
        sizes = _class_sizes(patients, share)
        codes = np.empty(patients, dtype=np.int64)
        codes[np.argsort(latent)] = np.repeat(np.arange(len(sizes)), sizes)
        drawn[task] = codes
    return drawn


def _class_sizes(patients: int, shares: Sequence[float]) -> IntArray:
    """Return (K,) patients a class: `FEWEST`, and its share of the rest by largest remainder."""
    spread = patients - FEWEST * len(shares)
    quota = np.array(shares) * spread
    sizes = np.floor(quota).astype(np.int64)
    largest = np.argsort(sizes - quota, kind="stable")[: spread - int(sizes.sum())]
    sizes[largest] += 1
    return np.asarray(FEWEST + sizes)


def hide(codes: IntArray, rate: float, rng: np.random.Generator) -> IntArray:
    """Return the codes, the given share of them unlabelled, sparing `FEWEST` of each class for as long as possible."""
    order = rng.permutation(len(codes))
    rank = pd.Series(codes[order]).groupby(codes[order]).cumcount().to_numpy()
    spared_last = order[np.argsort(rank < FEWEST, kind="stable")]
    hidden = codes.copy()
    hidden[spared_last[: round(rate * len(codes))]] = UNLABELLED
    return hidden


def draw_people(study: str, patients: int, centres: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw P rows with columns patient, centre (A, B, ...), age (years) and sex (F, M), independent of all classes."""
    number = np.arange(patients)
    digits = max(3, len(str(patients)))
    return pd.DataFrame(
        {
            "patient": [f"{study}/P{i + 1:0{digits}d}" for i in number],
            "centre": np.array(list(string.ascii_uppercase))[rng.permutation(number % centres)],
            "age": np.clip(np.round(rng.normal(62, 11, patients)), 25, 90).astype(np.int64),
            "sex": np.where(rng.random(patients) < 0.5, "F", "M"),
        }
    )
