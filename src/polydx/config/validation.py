"""The `validation:` section: splits, seeds and the primary endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from polydx.config.base import Strict

SplitName: TypeAlias = Literal[
    "stratified-group-k-fold", "group-k-fold", "leave-one-patient-out", "leave-one-centre-out", "predefined"
]
MetricName: TypeAlias = Literal["auroc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "brier"]


class PrimaryConfig(Strict):
    """The one endpoint declared before the run; the headline of the report.

    A study without `recipes`, which only bundles are evaluated on, names no recipe.
    """

    recipe: str | None = None
    versus: str | list[str] | None = None
    task: str
    level: Literal["patient", "sample"] = "patient"
    metric: MetricName = "auroc"

    @property
    def opponents(self) -> list[str] | None:
        """Recipes to compare with, or None for all others."""
        return [self.versus] if isinstance(self.versus, str) else self.versus


class MissingConfig(Strict):
    """What is taken from test samples, to see what a recipe of several modalities answers without it."""

    without_each: bool = Field(True, description="one modality from all samples, each in turn")
    only_each: bool = Field(False, description="all modalities but one, each in turn")
    at_random: float | None = Field(None, gt=0, lt=1, description="each modality of each sample with this probability")


def _as_list(found: Any) -> Any:
    return [found] if isinstance(found, str) else found


class ValidationConfig(Strict):
    """How the recipes are judged: every recipe on the same folds of whole patients.

    A seed is one repetition: of the fits, and where folds are drawn (the two k-folds) of the folds too.
    """

    split: SplitName = "stratified-group-k-fold"
    folds: int = Field(5, ge=2, description="of the two k-folds")
    stratify: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = Field(
        None, description="task, or tasks, whose classes the folds balance; the primary endpoint's if not given"
    )
    column: str | None = Field(None, description="column of the samples that names the folds or centres")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(default_factory=lambda: [0], min_length=1)
    repeats: int | None = Field(None, ge=1, description="in place of `seeds`: that many, counted up from one seed")
    bootstrap: int = Field(2000, ge=100)
    threads_per_fit: int = Field(1, ge=1)
    missing: MissingConfig = MissingConfig()
    primary: PrimaryConfig | None = None
    explain: bool = Field(False, description="explain the recipe of the primary endpoint after the run")

    @model_validator(mode="before")
    @classmethod
    def _repeats_are_seeds(cls, found: Any) -> Any:
        """Write `repeats: 3` as `seeds: [0, 1, 2]`, so that the resolved file says which seeds there were."""
        if not isinstance(found, Mapping) or type(found.get("repeats")) is not int or found["repeats"] < 1:
            return found
        seeds, split = found.get("seeds", [0]), found.get("split", "stratified-group-k-fold")
        if split not in ("stratified-group-k-fold", "group-k-fold"):
            raise ValueError(
                f"`repeats` draws the folds again, and those of '{split}' never change; to repeat fits, list `seeds`"
            )
        if not isinstance(seeds, list) or len(seeds) != 1 or type(seeds[0]) is not int:
            raise ValueError("give `repeats: n` with one seed to count from, or list all `seeds`")
        rest = {key: value for key, value in found.items() if key != "repeats"}
        return {**rest, "seeds": [seeds[0] + i for i in range(found["repeats"])]}

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice; each seed is one repetition")
        return seeds

    @model_validator(mode="after")
    def _options_of_the_split(self) -> ValidationConfig:
        if self.split == "predefined" and self.column is None:
            raise ValueError("`split: predefined` needs `column: NAME`, the column of the samples that names the folds")
        if self.column is not None and self.split not in ("predefined", "leave-one-centre-out"):
            raise ValueError(
                f"`column` is for `predefined` and `leave-one-centre-out`; '{self.split}' draws its own folds"
            )
        if self.stratify is not None and self.split != "stratified-group-k-fold":
            raise ValueError(f"`stratify` is for `stratified-group-k-fold`; '{self.split}' balances no classes")
        if self.stratify is not None and len(set(self.stratify)) < len(self.stratify):
            raise ValueError("a task stands twice in `stratify`")
        return self
