"""Fitted recipes of every kind, rebuilt from data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from polydx.errors import BundleError
from polydx.recipes.protocol import Fitted

Arrays = Mapping[str, NDArray[Any]]
Networks = Callable[[Mapping[str, Any], Arrays], Any]
"""What makes a network of its state."""


def rebuild(config: Mapping[str, Any], arrays: Arrays, networks: Networks | None = None) -> Fitted:
    """Return the fitted recipe whose `state` this is.

    Args:
        config: its description.
        arrays: its arrays.
        networks: makes the networks in it, each in turn; with torch if not given.

    Raises:
        BundleError: a kind that this polydx does not know.
    """
    made: Networks = networks or _network
    kinds: dict[str, Callable[[], Fitted]] = {
        "classical": lambda: _classical(_filled(config), arrays),
        "network": lambda: made(config, arrays),  # as it is: the export writes into it
        "ensemble": lambda: _ensemble(_filled(config), arrays, made),
        "features": lambda: _features(_filled(config), arrays, made),
    }
    if config["kind"] not in kinds:
        raise BundleError(f"unknown kind of model '{config['kind']}'; this polydx knows {', '.join(kinds)}")
    return kinds[config["kind"]]()


def holds_training_data(config: Any) -> bool:
    """Tell whether a state holds rows of the patients it was fitted on, so that handing it on hands on their data."""
    if isinstance(config, Mapping):
        return config.get("holds_training_data") is True or any(map(holds_training_data, config.values()))
    return isinstance(config, list) and any(map(holds_training_data, config))


def has_networks(config: Any) -> bool:
    """Tell whether a state holds a network."""
    if isinstance(config, Mapping):
        return config.get("kind") == "network" or any(map(has_networks, config.values()))
    return isinstance(config, list) and any(map(has_networks, config))


def _filled(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a description with what those of earlier run folders lack: temperatures, which were 1 in these runs."""
    return {"temperatures": {}, **config}


def _classical(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    from polydx.recipes.classical import FittedClassical

    return FittedClassical.from_state(config, arrays)


def _network(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    from polydx.recipes.network import FittedNetwork

    return FittedNetwork.from_state(_filled(config), arrays)


def _features(config: Mapping[str, Any], arrays: Arrays, networks: Networks) -> Fitted:
    from polydx.recipes.features_fitted import FittedFeatures

    return FittedFeatures.from_state(config, arrays, networks)


def _ensemble(config: Mapping[str, Any], arrays: Arrays, networks: Networks) -> Fitted:
    from polydx.recipes.ensemble import FittedEnsemble

    return FittedEnsemble.from_state(config, arrays, networks)
