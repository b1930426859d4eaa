"""One partition of the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polydx.study import UNLABELLED, IntArray


@dataclass(frozen=True)
class Fold:
    """One partition of the samples, as positions (ints), so that splitting never copies a study.

    Attributes:
        number: position in the split, from 0.
        train: positions of training samples, rising.
        test: positions of test samples, rising.
        name: what is tested (a centre, a given fold), where it has a name.
    """

    number: int
    train: IntArray
    test: IntArray
    name: str | None = None

    def __str__(self) -> str:
        """Return `fold 3`, with its name where it has one."""
        return f"fold {self.number}" + (f" ('{self.name}')" if self.name is not None else "")


def absent_from_training(codes: IntArray, fold: Fold) -> list[int]:
    """Return the classes that the fold's samples have and its training side has not.

    Args:
        codes: (N,) class codes, -1 for no label.
        fold: to look at.
    """
    tested = np.bincount(codes[fold.test] + 1)  # shifted by one, so that "no label" is counted in place 0
    trained = np.bincount(codes[fold.train] + 1, minlength=len(tested))[: len(tested)]
    return [code for code in (np.flatnonzero((tested > 0) & (trained == 0)) - 1).tolist() if code != UNLABELLED]
