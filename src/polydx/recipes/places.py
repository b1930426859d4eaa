"""Settings of a recipe by their place: `params.C`, `training.lr`, `preprocessing.raman.pca.components`."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from polydx.errors import ConfigError
from polydx.params import unknown

CLOSED = ("kind", "search", "calibration", "operating_point", "init", "pretrain.study", "pretrain.seed")
"""Places that are no setting of the fit, or decide whose data a fit sees, which is checked before the first of them."""


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
        if any(place == closed or place.startswith(f"{closed}.") for closed in CLOSED):
            raise ConfigError(f"'{place}' cannot be searched: only what is fitted and tried on the same patients can")
        *above, last = place.split(".")
        here: Any = changed
        for key in above:
            here = _inside(here, key, place)
        if not isinstance(here, dict):
            raise ConfigError(f"'{place}' names no setting: a step's is `.STEP.PARAMETER`")
        here[last] = value
    return changed


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
    if key.isdigit() and int(key) < len(here):
        steps = [here[int(key)]]
    if len(steps) > 1:
        raise ConfigError(f"'{place}': {len(steps)} steps are called '{key}'; give the number of one, from 0")
    if not steps:
        names = [step["name"] for step in here if isinstance(step, dict) and "name" in step]
        raise ConfigError(f"'{place}': {unknown('step', key, names)}")
    return steps[0].get("params", steps[0]) if isinstance(steps[0], dict) else steps[0]
