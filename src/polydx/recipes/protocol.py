"""What every recipe can do; validation knows nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from polydx.study import FloatArray, Study

State: TypeAlias = tuple[dict[str, Any], dict[str, NDArray[Any]]]
Probabilities: TypeAlias = dict[str, NDArray[np.float64]]


@runtime_checkable
class Fitted(Protocol):
    """A recipe fitted on training rows.

    Attributes:
        thresholds: operating point of two-class tasks, fitted on inner folds; a task without one is decided at 0.5.
        temperatures: task -> temperature of its probabilities, fitted on inner folds; 1 for a task without one.
        history: one dict an epoch (networks), else empty.
        notes: what the fit had to leave out or fall back on, one sentence each.
    """

    thresholds: Mapping[str, float]
    temperatures: Mapping[str, float]
    history: list[dict[str, float]]
    notes: list[str]

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}; rows sum to 1; a child task's are conditional on its parent's class."""
        ...

    def features(self, study: Study, stage: str) -> FloatArray:
        """Return (N, D) activations at a named stage.

        Raises:
            ConfigError: the model has no such stage; the message lists those it has.
        """
        ...

    def state(self) -> State:
        """Return the fit as data: a JSON-able description and named arrays; no pickle."""
        ...


@runtime_checkable
class Recipe(Protocol):
    """Preprocessing, model and calibration as one thing to fit.

    Attributes:
        name: its key in the YAML.
        config: what the YAML says of it, defaults resolved.
        modalities: those it uses.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def modalities(self) -> tuple[str, ...]: ...  # noqa: D102

    def fit(self, study: Study, seed: int, log: Path | None = None) -> Fitted:
        """Fit on exactly the rows of `study`; `log` is a folder for TensorBoard events."""
        ...


@dataclass(frozen=True)
class Wrapping:
    """What goes around a recipe, and is known by what the recipe is known by.

    Attributes:
        recipe: what is fitted.
    """

    recipe: Recipe

    @property
    def name(self) -> str:
        """Its key in the YAML."""
        return self.recipe.name

    @property
    def config(self) -> dict[str, Any]:
        """Its section, resolved."""
        return self.recipe.config

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities used."""
        return self.recipe.modalities


def stream_seed(seed: int, recipe: str, fold: int) -> int:
    """Return the seed of one fit: a function of seed, recipe and fold, never of the order of execution."""
    name = list(recipe.encode())
    return int(np.random.SeedSequence([seed, fold, *name]).generate_state(1)[0])


def tuned_state(fitted: Fitted) -> dict[str, dict[str, float]]:
    """Return what was tuned on inner folds, as a state has it."""
    return {"thresholds": dict(fitted.thresholds), "temperatures": dict(fitted.temperatures)}


def remarks(fitted: Fitted, study: Study) -> list[str]:
    """Return what a fit has to say of a study it is to answer for, such as categories it does not know."""
    say = getattr(fitted, "remarks", None)
    return [] if say is None else list(say(study))
