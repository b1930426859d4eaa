"""A whole study.yaml."""

from __future__ import annotations

from typing import Any

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from polydx.config.base import Strict
from polydx.config.composed import (
    RecipeConfig,
    _refuse_odd_names,
    with_members,
)
from polydx.config.study import StudyConfig
from polydx.config.validation import ValidationConfig


class Config(Strict):
    """A whole study.yaml."""

    study: StudyConfig
    recipes: dict[str, RecipeConfig] = Field(default_factory=dict)
    validation: ValidationConfig = ValidationConfig()

    @field_validator("recipes")
    @classmethod
    def _plain_names(cls, recipes: dict[str, Any]) -> dict[str, Any]:
        """Recipe names become folder names."""
        _refuse_odd_names(recipes)
        return with_members(recipes)

    @model_validator(mode="after")
    def _known_primary(self) -> Config:
        primary = self.validation.primary
        if primary is None or not self.recipes:
            return self
        for name in [primary.recipe, *(primary.opponents or [])]:
            if name not in self.recipes:
                raise ValueError(f"validation.primary names recipe '{name}'; the recipes are {', '.join(self.recipes)}")
        if primary.opponents is not None and primary.recipe in primary.opponents:
            raise ValueError(f"validation.primary compares '{primary.recipe}' with itself")
        return self
