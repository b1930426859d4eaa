"""From the `recipes:` section to recipes, everything wrong with any of them reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from polydx.config import ClassicalConfig, NetworkConfig, RecipeConfig
from polydx.errors import ConfigError, Problem, counted
from polydx.recipes.classical import ClassicalRecipe
from polydx.recipes.estimators import estimator_problems
from polydx.recipes.inputs import input_problems, spectral_modalities
from polydx.recipes.protocol import Recipe
from polydx.study import Study

_ADAPTER: TypeAdapter[ClassicalConfig | NetworkConfig] = TypeAdapter(RecipeConfig)


def build_recipes(configs: Mapping[str, Any], study: Study, threads: int = 1) -> dict[str, Recipe]:
    """Return name -> recipe, checked against the study before anything is fitted.

    Args:
        configs: name -> `ClassicalConfig`, `NetworkConfig` or the same as a plain dict.
        study: what they will be fitted on; its modalities and tasks must fit.
        threads: threads of one fit (part of what makes results repeat to the byte).

    Raises:
        ConfigError: listing every problem of every recipe.
    """
    checked = {name: _checked(name, config) for name, config in configs.items()}
    problems = [p for name, config in checked.items() for p in _problems(name, config, study)]
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in the recipes", problems)
    return {name: _build(name, config, study, threads) for name, config in checked.items()}


def _checked(name: str, config: Any) -> ClassicalConfig | NetworkConfig:
    if isinstance(config, ClassicalConfig | NetworkConfig):
        return config
    try:
        return _ADAPTER.validate_python(config)
    except ValidationError as error:
        found = [Problem(".".join([f"recipes.{name}", *map(str, e["loc"][1:])]), e["msg"]) for e in error.errors()]
        raise ConfigError(f"{counted(len(found), 'problem')} in recipe '{name}'", found) from None


def _problems(name: str, config: ClassicalConfig | NetworkConfig, study: Study) -> list[Problem]:
    where = f"recipes.{name}"
    if isinstance(config, ClassicalConfig):
        steps = _steps(config, study)
        none = [] if steps else [Problem(where, "the study has no spectra for it to use")]
        return none + estimator_problems(config.model, config.params, where) + input_problems(study, steps, where)
    from polydx.recipes.network import network_problems

    return network_problems(config, study, where)


def _build(name: str, config: ClassicalConfig | NetworkConfig, study: Study, threads: int) -> Recipe:
    resolved = config.model_dump(mode="json")
    if isinstance(config, ClassicalConfig):
        return ClassicalRecipe(name, resolved, config.model, config.params, _steps(config, study))
    from polydx.recipes.network import NetworkRecipe

    return NetworkRecipe(name, resolved, config, threads)


def _steps(config: ClassicalConfig, study: Study) -> Mapping[str, Any]:
    """Return modality -> steps: those named, else all spectra as they are."""
    return config.preprocessing or {name: [] for name in spectral_modalities(study)}
