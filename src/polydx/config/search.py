"""What may be searched for in a recipe: settings by their place, and the values they may take."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from polydx.config.base import Strict


class Span(Strict):
    """Every number between two, or every whole number where both ends are whole; `log` draws its logarithm evenly."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Span:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"a span needs two finite ends; found {self.low} and {self.high}")
        if not self.low < self.high:
            raise ValueError(f"`low` must be below `high`; found {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"`log` needs a `low` above 0; found {self.low}")
        return self

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def _values_or_span(found: Any) -> str:
    return "values" if isinstance(found, list) else "span"


def _plain(values: list[Any]) -> list[Any]:
    """Refuse what could not be kept with the trials: infinities, dates."""
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(
            f"values are finite numbers, words, true, false, null or lists of them; found {values}"
        ) from None
    return values


Values: TypeAlias = Annotated[list[Any], Field(min_length=1), AfterValidator(_plain), Tag("values")]
Choice: TypeAlias = Annotated[Values | Annotated[Span, Tag("span")], Discriminator(_values_or_span)]


class SearchConfig(Strict):
    """Settings that are chosen on inner folds of the training patients.

    Attributes:
        space: place of a setting in the recipe, keys joined by dots (`params.C`, `training.lr`,
            `preprocessing.raman.pca.components`; steps by name or number) -> values it may take, or a span.
        trials: settings tried beside those that are written; all, where lists and whole spans hold no more.
        metric: what the best has most of; `log_loss` least. A mean over the tasks.
        tasks: those that count; all if left out.
    """

    space: dict[str, Choice] = Field(min_length=1)
    trials: int = Field(20, gt=0)
    metric: Literal["log_loss", "balanced_accuracy", "auroc"] = "log_loss"
    tasks: list[str] | None = Field(None, min_length=1)
