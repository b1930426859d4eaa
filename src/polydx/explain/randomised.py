"""Networks whose weights are random from the answer backwards, for the sanity check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polydx.explain.networks import network_of
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_plan import planned_network
from polydx.recipes.protocol import Fitted

SEED_OF_PLAN = 1_000_003
"""Between a plan's own seed and those of the draws."""


def cascade(fitted: Fitted, modality: str, task: str, seed: int) -> Iterator[tuple[str, FittedNetwork]]:
    """Yield copies of a network with ever more random parts: head, fusion, pool, then stage by stage.

    Args:
        fitted: left as it is.
        modality: whose backbone is walked back.
        task: whose head comes first.
        seed: of the random weights.
    """
    own = network_of(fitted, "sanity")
    random = planned_network({**own.plan, "seed": int(own.plan["seed"]) + SEED_OF_PLAN * (seed + 1)}).eval()
    mixed = planned_network(own.plan).eval()
    state, fresh = dict(own.network.state_dict()), random.state_dict()
    stages = [f"backbones.{modality}.{name}" for name in own.network.backbone(modality).stages[::-1]]
    for part in (f"heads.{task}", "fusion", f"pools.{modality}", f"necks.{modality}", *stages):
        keys = [key for key in state if key.startswith(f"{part}.")]
        if not keys and part not in stages:
            continue
        state |= {key: fresh[key] for key in keys}
        mixed.load_state_dict(state)
        yield part, replace(own, network=mixed)
