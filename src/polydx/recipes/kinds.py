"""Fitted recipes of every kind, rebuilt from data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from polydx.errors import BundleError
from polydx.recipes.protocol import Fitted

Arrays = Mapping[str, NDArray[Any]]


def rebuild(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    """Return the fitted recipe whose `state` this is.

    Raises:
        BundleError: a kind that this polydx does not know.
    """
    if config["kind"] not in KINDS:
        raise BundleError(f"unknown kind of model '{config['kind']}'; this polydx knows {', '.join(KINDS)}")
    return KINDS[config["kind"]](config, arrays)


def holds_training_data(config: Any) -> bool:
    """Tell whether a state holds rows of the patients it was fitted on, so that handing it on hands on their data."""
    if isinstance(config, Mapping):
        return config.get("holds_training_data") is True or any(map(holds_training_data, config.values()))
    return isinstance(config, list) and any(map(holds_training_data, config))


def _classical(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    from polydx.recipes.classical import FittedClassical

    return FittedClassical.from_state(config, arrays)


def _network(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    from polydx.recipes.network import FittedNetwork

    return FittedNetwork.from_state(config, arrays)


def _features(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    from polydx.recipes.features_fitted import FittedFeatures

    return FittedFeatures.from_state(config, arrays)


def _ensemble(config: Mapping[str, Any], arrays: Arrays) -> Fitted:
    from polydx.recipes.ensemble import FittedEnsemble

    return FittedEnsemble.from_state(config, arrays)


KINDS: dict[str, Callable[[Mapping[str, Any], Arrays], Fitted]] = {
    "classical": _classical,
    "network": _network,
    "ensemble": _ensemble,
    "features": _features,
}
