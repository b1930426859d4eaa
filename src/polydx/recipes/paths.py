"""Paths inside recipes: relative to the study file in YAML, absolute ever after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polydx.config import EnsembleConfig, FeatureConfig, NetworkConfig


def with_absolute_paths(recipes: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return the recipes with every path that starts in `base` made absolute."""
    return {name: _absolute(recipe, base) for name, recipe in recipes.items()}


def _absolute(recipe: Any, base: Path) -> Any:
    if isinstance(recipe, EnsembleConfig):
        return recipe.model_copy(update={"members": with_absolute_paths(recipe.members, base)})
    if isinstance(recipe, FeatureConfig):
        cuts = {
            name: cut.model_copy(update={"network": _absolute(cut.network, base)})
            for name, cut in recipe.features.items()
        }
        return recipe.model_copy(update={"features": cuts})
    if not isinstance(recipe, NetworkConfig):
        return recipe
    changed: dict[str, Any] = {}
    if recipe.init is not None and isinstance(recipe.init.source, Path):
        changed["init"] = recipe.init.model_copy(update={"source": (base / recipe.init.source).resolve()})
    study = None if recipe.pretrain is None else recipe.pretrain.study
    if recipe.pretrain is not None and study is not None and study.samples is not None:
        samples = (base / study.samples).resolve()
        moved = study.model_copy(update={"samples": samples, "name": study.name or samples.parent.name})
        changed["pretrain"] = recipe.pretrain.model_copy(update={"study": moved})
    return recipe.model_copy(update=changed)
