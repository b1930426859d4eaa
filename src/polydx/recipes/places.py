"""Settings of a recipe by their place: `params.C`, `training.lr`, `preprocessing.raman.pca.components`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from polydx.errors import ConfigError
from polydx.params import unknown

CLOSED = ("kind", "search", "calibration", "operating_point", "init", "from")
"""Keys of a recipe that are no setting of the fit, or decide whose data it sees, which is checked before any fit."""
PRETRAINED = ("study", "dataset", "seed")
"""Keys of `pretrain` that decide whose data it sees."""
WHOLE = ("members", "features", "network", "pretrain")
"""Recipes within a recipe: their settings may be searched, but they are not exchanged as a whole."""


def placed(section: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's section with settings at their places; sections that are not there are made.

    Args:
        section: of a recipe, steps as `{name: ..., params: ...}`.
        settings: place -> value.

    Raises:
        ConfigError: a place that cannot be; whether a key is known is told when the section is read.
    """
    changed = deepcopy(dict(section))
    for place, value in settings.items():
        *above, last = place.split(".")
        keys = _of_one_recipe([*above, last])
        if keys[0] in CLOSED or (keys[0] == "pretrain" and keys[1:2] in [[key] for key in PRETRAINED]):
            raise ConfigError(f"'{place}' cannot be searched: it is no setting, or decides whose data a fit sees")
        if keys[0] in WHOLE[:3] or keys == ["pretrain"] or _holds(value, (*CLOSED, *WHOLE)):
            raise ConfigError(f"'{place}' cannot be exchanged as a whole; search for settings within it")
        here: Any = changed
        for key in above:
            here = _inside(here, key, place)
        if not isinstance(here, dict):
            raise ConfigError(f"'{place}' names no setting: a step's is `.STEP.PARAMETER`")
        here[last] = value
    return changed


def overlapping(places: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of places of which one lies in the other, so that the order would decide."""
    known = list(places)
    return [(one, other) for one in known for other in known if other.startswith(f"{one}.")]


def _of_one_recipe(keys: list[str]) -> list[str]:
    """Return the keys within the innermost recipe: a member of an ensemble, or a network that features are cut from."""
    while len(keys) > 2 and keys[0] in ("members", "features"):
        keys = keys[2:]
        keys = keys[1:] if keys[0] == "network" and len(keys) > 1 else keys
    return keys


def _holds(value: Any, closed: tuple[str, ...]) -> bool:
    """Tell whether a value brings one of these keys along."""
    if isinstance(value, Mapping):
        return any(key in closed or _holds(part, closed) for key, part in value.items())
    return isinstance(value, list) and any(_holds(part, closed) for part in value)


def _inside(here: Any, key: str, place: str) -> Any:
    """Return what stands under a key; of a list, the parameters of a step, by its name or number."""
    if isinstance(here, dict):
        if here.get(key) is None:
            here[key] = {}
        elif isinstance(here[key], str):
            here[key] = {"name": here[key]}
        return here[key]
    if not isinstance(here, list):
        raise ConfigError(f"'{place}': nothing lies under '{key}'")
    steps = [step for step in here if isinstance(step, dict) and step.get("name") == key]
    if key.isascii() and key.isdigit() and int(key) < len(here):
        steps = [here[int(key)]]
    if len(steps) > 1:
        raise ConfigError(f"'{place}': {len(steps)} steps are called '{key}'; give the number of one, from 0")
    if not steps:
        names = [step["name"] for step in here if isinstance(step, dict) and "name" in step]
        raise ConfigError(f"'{place}': {unknown('step', key, names)}")
    return steps[0].get("params", steps[0]) if isinstance(steps[0], dict) else steps[0]
