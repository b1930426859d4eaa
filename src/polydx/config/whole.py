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


class VariantConfig(Strict):
    """A change of the study.yaml it stands in: keys to change, null for those to take away."""

    study: dict[str, Any] = Field(default_factory=dict)
    recipes: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    validation: dict[str, Any] = Field(default_factory=dict)


class Config(Strict):
    """A whole study.yaml.

    Attributes:
        study: the data.
        recipes: what is fitted.
        validation: how it is judged.
        variants: name -> change of the three above, each a run of its own; see `polydx.config.variants`.
    """

    study: StudyConfig
    recipes: dict[str, RecipeConfig] = Field(default_factory=dict)
    validation: ValidationConfig = ValidationConfig()
    variants: dict[str, VariantConfig] = Field(default_factory=dict)

    @field_validator("variants")
    @classmethod
    def _plain_variants(cls, variants: dict[str, VariantConfig]) -> dict[str, VariantConfig]:
        """Variants become folder names."""
        _refuse_odd_names(variants, "variant")
        return variants

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
        if primary.recipe is None:
            raise ValueError(f"validation.primary names no recipe; add `recipe:`, one of {', '.join(self.recipes)}")
        for name in [primary.recipe, *(primary.opponents or [])]:
            if name not in self.recipes:
                raise ValueError(f"validation.primary names recipe '{name}'; the recipes are {', '.join(self.recipes)}")
        if primary.opponents is not None and primary.recipe in primary.opponents:
            raise ValueError(f"validation.primary compares '{primary.recipe}' with itself")
        return self
