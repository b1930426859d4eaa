"""From the `recipes:` section to recipes, everything wrong with any of them reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
from polydx.recipes.search import Searched
from polydx.recipes.search_checks import search_problems
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
    columns = tuple(columnar_modalities(study))
    return {
        name: _tuned(_build(name, config, columns, threads, sources), config, study) for name, config in checked.items()
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
    """Return what is wrong with a recipe; with its search, if nothing is with what is written."""
    found = _problems_as_written(where, config, study, sources)
    if found or config.search is None:
        return found

    def check(section: Mapping[str, Any]) -> list[Problem]:
        try:
            changed = _ADAPTER.validate_python(section)
        except ValidationError as error:
            return [Problem(where, e["msg"]) for e in error.errors()]
        problems = _problems_as_written(where, changed, study, sources)
        if not problems and _modalities(changed, columns) != _modalities(config, columns):
            problems = [Problem(where, "changes which modalities are used: that takes a recipe of its own")]
        return problems

    columns = tuple(columnar_modalities(study))

    return search_problems(config.search, _section(config), study.tasks, where, check)


def _section(config: AnyConfig) -> dict[str, Any]:
    """Return a recipe's section without its search, as the schema reads it again, value for value."""
    return config.model_dump(exclude={"search"})


def _modalities(config: AnyConfig, columns: tuple[str, ...]) -> set[str]:
    """Return the modalities that a recipe will use."""
    if isinstance(config, ClassicalConfig):
        return set(_steps(config, columns))
    if isinstance(config, EnsembleConfig):
        return {name for _, member in _members(config) for name in _modalities(member, columns)}
    if isinstance(config, FeatureConfig):
        cuts = {m for cut in config.features.values() if cut.network is not None for m in cut.network.backbones}
        return cuts | set(config.preprocessing)
    return set(config.backbones)


def _problems_as_written(where: str, config: AnyConfig, study: Study, sources: Sources) -> list[Problem]:
    found = point_problems(config.operating_point or {}, study.tasks, where)
    found += calibration_problems(config.calibration or {}, study.tasks, where)
    if isinstance(config, EnsembleConfig):
        return found + [
            p for name, member in _members(config) for p in _problems(f"{where}.members.{name}", member, study, sources)
        ]
    if isinstance(config, ClassicalConfig):
        steps = _steps(config, tuple(columnar_modalities(study)))
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

        found += [
            Problem(f"{where}.features.{name}", "the network has a `search` of its own; move it to this recipe, with "
                    f"places that begin with features.{name}.network")
            for name, cut in config.features.items()
            if cut.network is not None and cut.network.search is not None
        ]  # fmt: skip
        return found + feature_problems(config, study, where, sources)
    from polydx.recipes.network import network_problems

    return found + network_problems(config, study, where, sources)


def _build(name: str, config: AnyConfig, columns: tuple[str, ...], threads: int, sources: Sources) -> Recipe:
    """Return the recipe without temperature and threshold: members of an ensemble have none.

    Args:
        name: its key in the YAML.
        config: its schema, members and networks in the place of their names.
        columns: modalities that a classical recipe takes if it names none.
        threads: of one fit.
        sources: of what is pretrained elsewhere.
    """
    if config.search is not None:
        make = partial(_of_section, name, columns, threads, sources)
        return Searched(name, _section(config), config.search, make)
    resolved = config.model_dump(mode="json", exclude={"search"})
    if isinstance(config, EnsembleConfig):
        members = {n: _build(n, member, columns, threads, sources) for n, member in _members(config)}
        # With the digests of what members take from other files: another content there is another ensemble.
        resolved["members"] = {n: member.config for n, member in members.items()}
        return EnsembleRecipe(name, resolved, members, config.method, config.repeats)
    if isinstance(config, ClassicalConfig):
        return ClassicalRecipe(name, resolved, config.model, config.params, _steps(config, columns))
    if isinstance(config, FeatureConfig):
        return _features(name, resolved, config, threads, sources)
    return _network(name, resolved, config, threads, sources)


def _of_section(
    name: str, columns: tuple[str, ...], threads: int, sources: Sources, section: Mapping[str, Any]
) -> Recipe:
    return _build(name, _checked(name, section), columns, threads, sources)


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


def _steps(config: ClassicalConfig, columns: tuple[str, ...]) -> Mapping[str, Any]:
    """Return modality -> steps: those named, else all spectra as they are, and all tables."""
    return config.preprocessing or {name: [] for name in columns}


def shortest(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's section as one would write it: without defaults, and steps by their names."""
    written = _ADAPTER.validate_python(section).model_dump(mode="json", exclude_defaults=True)
    found: dict[str, Any] = _short_steps(written)
    return found


def _short_steps(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {key: _short_steps(part) for key, part in found.items()}
    if not isinstance(found, list):
        return found
    return [_short_step(part) for part in found]


def _short_step(found: Any) -> Any:
    if not isinstance(found, Mapping) or "name" not in found or set(found) > {"name", "params"}:
        return _short_steps(found)
    return {found["name"]: found["params"]} if found.get("params") else found["name"]
