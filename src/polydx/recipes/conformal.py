"""Prediction sets: the classes that cannot be ruled out, with one score a patient and class.

The nonconformity of a class is 1 less its probability. A class stays in the set of a new patient unless its score is
among the highest tenth of those of training patients of that very class (class-conditional, or Mondrian), each told by
a fit on inner folds that did not see the patient.

Approximate: the scores are of fits on parts of the patients, the model that is asked was fitted on all of them
(cross-conformal). And a promise about patients: nothing is promised for single spectra or images.

References: Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World; Vovk (2015), Annals of Mathematics
and Artificial Intelligence 74, 9-28 (cross-conformal predictors).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.9
FEWEST = 9
"""Patients of a class below which no class can be left out at a coverage of 90 %: 1 / (n + 1) is more than 10 %."""

TIE = 1e-6
"""Difference below which scores are equal: an exported model answers as the recipe does but for rounding."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ConformalScores:
    """What prediction sets are made of.

    Attributes:
        scores: task -> class -> rising scores, one a patient of the class.
        coverage: share of the patients of each class whose class the set shall hold.
    """

    scores: Mapping[str, Mapping[str, Float]]
    coverage: float = COVERAGE

    def sets(self, task: str, classes: tuple[str, ...], probabilities: Float) -> list[list[str]]:
        """Return the set of each row.

        Args:
            task: one of the model's.
            classes: of the task.
            probabilities: (N, K).

        Returns:
            (N,) lists of classes, in the order of the task; all classes where one of them had too few patients.
        """
        own = [self.scores.get(task, {}).get(label, np.empty(0)) for label in classes]
        if min(map(len, own)) < FEWEST:
            return [list(classes) for _ in probabilities]
        kept = np.column_stack([self._kept(s, 1 - probabilities[:, k]) for k, s in enumerate(own)])
        return [[label for label, has in zip(classes, row, strict=True) if has] for row in kept.tolist()]

    def _kept(self, scores: Float, found: Float) -> NDArray[np.bool_]:
        """Return where the p-value, (1 + how many are at least as odd) / (n + 1), is more than what may be missed."""
        as_odd = len(scores) - np.searchsorted(scores, found - TIE, side="left")
        return np.asarray(1 + as_odd > (1 - self.coverage) * (len(scores) + 1) + 1e-9)

    def to_json(self) -> dict[str, dict[str, list[float]]]:
        """Return the scores as JSON can hold them."""
        return {task: {label: s.tolist() for label, s in by_class.items()} for task, by_class in self.scores.items()}

    @classmethod
    def from_json(cls, found: Mapping[str, Mapping[str, list[float]]]) -> ConformalScores:
        """Rebuild what `to_json` returned."""
        return cls(
            {
                task: {label: np.sort(np.asarray(s, dtype=np.float64)) for label, s in by_class.items()}
                for task, by_class in found.items()
            }
        )
