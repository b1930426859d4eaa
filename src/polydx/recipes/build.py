"""From the `recipes:` section to recipes, everything wrong with any of them reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from polydx.config import (
    ClassicalConfig,
    EnsembleConfig,
    FeatureConfig,
    MemberReference,
    NetworkConfig,
    RecipeConfig,
    with_members,
)
from polydx.errors import ConfigError, Problem, counted
from polydx.recipes.classical import ClassicalRecipe
from polydx.recipes.ensemble import EnsembleRecipe
from polydx.recipes.estimators import estimator_problems
from polydx.recipes.inputs import columnar_modalities, input_problems
from polydx.recipes.protocol import Recipe
from polydx.recipes.sources import Sources
from polydx.recipes.temperature import calibration_problems, resolve_calibration
from polydx.recipes.threshold import point_problems, resolve_points
from polydx.recipes.tuned import Tuned
from polydx.study import Study

if TYPE_CHECKING:
    from polydx.recipes.features import FeatureRecipe
    from polydx.recipes.network import NetworkRecipe

AnyConfig = ClassicalConfig | NetworkConfig | FeatureConfig | EnsembleConfig
_ADAPTER: TypeAdapter[AnyConfig] = TypeAdapter(RecipeConfig)


def build_recipes(
    configs: Mapping[str, Any],
    study: Study,
    threads: int = 1,
    data: str | Path | None = None,
    store: Path | None = None,
) -> dict[str, Recipe]:
    """Return name -> recipe, checked against the study before anything is fitted.

    Args:
        configs: name -> a recipe's schema, or the same as a plain dict. An ensemble may name others of them as members.
        study: what they will be fitted on; its modalities and tasks must fit.
        threads: threads of one fit (part of what makes results repeat to the byte).
        data: folder of the named studies, for recipes that pretrain on one; else `POLYDX_DATA` or the user's cache.
        store: folder that keeps networks pretrained on another study; without one they are pretrained once a process.

    Raises:
        ConfigError: listing every problem of every recipe.
    """
    written = {name: _checked(name, config) for name, config in configs.items()}
    checked = with_members(written)
    sources = Sources(None if data is None else Path(data), store)
    problems = [
        p
        for name, config in checked.items()
        for p in _problems(f"recipes.{name}", _in_place(config, written[name]), study, sources)
    ]
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in the recipes", problems)
    return {
        name: _tuned(_build(name, config, study, threads, sources), config, study) for name, config in checked.items()
    }


def _checked(name: str, config: Any) -> AnyConfig:
    if isinstance(config, AnyConfig):
        return config
    try:
        return _ADAPTER.validate_python(config)
    except ValidationError as error:
        found = [Problem(".".join([f"recipes.{name}", *map(str, e["loc"][1:])]), e["msg"]) for e in error.errors()]
        raise ConfigError(f"{counted(len(found), 'problem')} in recipe '{name}'", found) from None


def _in_place(config: AnyConfig, written: AnyConfig) -> AnyConfig:
    """Return an ensemble with the members written in place alone: those it names are checked under their own names."""
    if not isinstance(config, EnsembleConfig) or not isinstance(written, EnsembleConfig):
        return config
    named = {name for name, member in written.members.items() if isinstance(member, MemberReference)}
    return config.model_copy(update={"members": {n: m for n, m in config.members.items() if n not in named}})


def _problems(where: str, config: AnyConfig, study: Study, sources: Sources) -> list[Problem]:
    found = point_problems(config.operating_point or {}, study.tasks, where)
    found += calibration_problems(config.calibration or {}, study.tasks, where)
    if isinstance(config, EnsembleConfig):
        return found + [
            p for name, member in _members(config) for p in _problems(f"{where}.members.{name}", member, study, sources)
        ]
    if isinstance(config, ClassicalConfig):
        steps = _steps(config, study)
        none = (
            []
            if steps
            else [
                Problem(
                    where, "the study has no spectra or table for it to use: name modality and steps in `preprocessing`"
                )
            ]
        )
        found += none + estimator_problems(config.model, config.params, where)
        return found + input_problems(study, steps, where)
    if isinstance(config, FeatureConfig):
        from polydx.recipes.features import feature_problems

        return found + feature_problems(config, study, where, sources)
    from polydx.recipes.network import network_problems

    return found + network_problems(config, study, where, sources)


def _build(name: str, config: AnyConfig, study: Study, threads: int, sources: Sources) -> Recipe:
    """Return the recipe without what is tuned on inner folds: members of an ensemble have none."""
    resolved = config.model_dump(mode="json")
    if isinstance(config, EnsembleConfig):
        members = {n: _build(n, member, study, threads, sources) for n, member in _members(config)}
        # With the digests of what members take from other files: another content there is another ensemble.
        resolved["members"] = {n: member.config for n, member in members.items()}
        return EnsembleRecipe(name, resolved, members, config.method, config.repeats)
    if isinstance(config, ClassicalConfig):
        return ClassicalRecipe(name, resolved, config.model, config.params, _steps(config, study))
    if isinstance(config, FeatureConfig):
        return _features(name, resolved, config, threads, sources)
    return _network(name, resolved, config, threads, sources)


def _network(
    name: str, resolved: dict[str, Any], config: NetworkConfig, threads: int, sources: Sources
) -> NetworkRecipe:
    from polydx.recipes.network import NetworkRecipe, origins

    # What stands in other files belongs to the recipe: another content is another recipe, and its folds are new.
    return NetworkRecipe(name, resolved | origins(config, sources), config, threads, sources)


def _features(
    name: str, resolved: dict[str, Any], config: FeatureConfig, threads: int, sources: Sources
) -> FeatureRecipe:
    from polydx.recipes.features import Cut, FeatureRecipe, feature_steps, learns, network_of

    cuts = {n: Cut(cut, _network(name, {}, network_of(cut), threads, sources)) for n, cut in config.features.items()}
    # Else calibration needs fits of the networks too.
    alone = not any(learns(cut.schema, cut.network.schema) for cut in cuts.values())
    classical = ClassicalRecipe(name, {}, config.model, config.params, feature_steps(config), calibrate=alone)
    origins = {n: cut.network.config for n, cut in cuts.items() if cut.network.config}
    resolved |= {"networks": origins} if origins else {}
    return FeatureRecipe(name, resolved, cuts, tuple(config.preprocessing), classical)


def _tuned(recipe: Recipe, config: AnyConfig, study: Study) -> Recipe:
    points = resolve_points(config.operating_point or {}, study.tasks)
    scaled = resolve_calibration(config.calibration or {}, study.tasks)
    return Tuned(recipe, points, scaled) if points or scaled else recipe


def _members(config: EnsembleConfig) -> list[tuple[str, AnyConfig]]:
    """Return the members; `with_members` has left no reference among them."""
    return [(name, member) for name, member in config.members.items() if isinstance(member, AnyConfig)]


def _steps(config: ClassicalConfig, study: Study) -> Mapping[str, Any]:
    """Return modality -> steps: those named, else all spectra as they are, and all tables."""
    return config.preprocessing or {name: [] for name in columnar_modalities(study)}
