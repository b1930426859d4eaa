"""Recipes whose temperatures and thresholds are fitted too, on what inner fits say of patients they did not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polydx.config import OperatingPoint
from polydx.errors import StudyError
from polydx.recipes.out_of_fold import held_out
from polydx.recipes.protocol import Fitted, Probabilities, Wrapping
from polydx.recipes.scaling import scaled
from polydx.recipes.temperature import choose_temperature
from polydx.recipes.threshold import choose_threshold, units
from polydx.study import Study


@dataclass(frozen=True)
class Tuned(Wrapping):
    """A recipe with a temperature or a threshold of some of its tasks.

    Attributes:
        recipe: what is fitted, on all training rows; and again on inner folds of them for what is tuned.
        points: two-class task -> rule of its threshold.
        scaled: tasks whose probabilities get a temperature; thresholds are chosen on the probabilities after it.
    """

    points: Mapping[str, OperatingPoint]
    scaled: tuple[str, ...] = ()

    def fit(self, study: Study, seed: int, log: Path | None = None) -> Fitted:
        """Fit the recipe, and what is tuned on the out-of-fold probabilities of its training patients."""
        return self.fit_and_hold_out(study, seed, log)[0]

    def fit_and_hold_out(self, study: Study, seed: int, log: Path | None = None) -> tuple[Fitted, Probabilities]:
        """Fit as `fit` does; return the out-of-fold probabilities too, scaled, as `held_out` has them.

        Raises:
            StudyError: the recipe cannot be fitted on an inner fold.
        """
        fitted = self.recipe.fit(study, seed, log)
        try:
            told = held_out(self.recipe, study, seed)
        except StudyError as error:
            raise StudyError(
                f"temperature or threshold need fits on inner folds, and one cannot be made: {error.message}"
            ) from error
        temperatures, thresholds = dict(fitted.temperatures), dict(fitted.thresholds)
        for task in self.scaled:
            temperatures[task], note = choose_temperature(study, task, told[task])
            _say(fitted, task, note)
        told = scaled(told, temperatures)
        for task, point in self.points.items():
            thresholds[task], note = choose_threshold(*units(study, task, told[task]), point)
            _say(fitted, task, note)
        fitted.temperatures, fitted.thresholds = temperatures, thresholds
        return fitted, told


def _say(fitted: Fitted, task: str, note: str | None) -> None:
    if note is not None:
        fitted.notes.append(f"task '{task}': {note}")
