"""How large the networks of a study are, before any of them is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polydx.config import NetworkConfig
from polydx.models.summary import Summary, summarise
from polydx.recipes.network_checks import trial_network
from polydx.study import Study


def network_sizes(configs: Mapping[str, Any], study: Study) -> dict[str, Summary]:
    """Return name -> size of each recipe of kind `network`, as it would be built on this study.

    Args:
        configs: name -> schema, as they passed `build_recipes`.
        study: gives the shapes of the inputs and the classes of the tasks.
    """
    networks = {name: config for name, config in configs.items() if isinstance(config, NetworkConfig)}
    return {name: summarise(*trial_network(config, study)) for name, config in networks.items()}
