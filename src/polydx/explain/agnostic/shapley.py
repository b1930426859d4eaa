"""Shapley values: a gain shared out among players, exactly or by sampled orders.

Shapes: `M` players, `Q` coalitions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import factorial

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError

Floats = NDArray[np.float64]
Coalitions = NDArray[np.bool_]
Value = Callable[[Coalitions], Floats]
"""(Q, M) which players are in -> (Q, ...) what each coalition is worth."""

MOST_EXACT = 12


def exact_shapley(value: Value, players: int) -> Floats:
    """Return (M, ...) each player's mean gain over all orders, from the worth of all 2^M coalitions.

    The values add up to the worth of all players less that of none.

    Args:
        value: of coalitions.
        players: M, at most 12.

    Raises:
        ConfigError: more players.

    Reference: Shapley (1953), Contributions to the Theory of Games II, 307-317.
    """
    if not 1 <= players <= MOST_EXACT:
        raise ConfigError(f"exact Shapley values need 1 to {MOST_EXACT} players, but got {players}: sample them")
    coalitions = np.array(list(product([False, True], repeat=players)))
    worth = value(coalitions)
    sizes = coalitions.sum(axis=1)
    places = 1 << np.arange(players)[::-1]  # the number of a coalition has a bit a player, as `product` counts
    numbers = np.arange(len(coalitions))
    found = []
    for player in range(players):
        without = numbers[~coalitions[:, player]]
        weights = np.array([factorial(s) * factorial(players - s - 1) for s in sizes[without]]) / factorial(players)
        found.append(np.tensordot(weights, worth[without + places[player]] - worth[without], axes=1))
    return np.array(found)


def sampled_shapley(value: Value, players: int, rng: np.random.Generator, orders: int = 64) -> Floats:
    """Return (M, ...) each player's mean gain over sampled orders, each taken forwards and backwards.

    The values add up to the worth of all players less that of none, however few the orders.

    Args:
        value: of coalitions.
        players: M.
        rng: draws the orders.
        orders: how many are drawn; twice as many are walked.

    Reference: Castro, Gómez & Tejada (2009), Computers & Operations Research 36(5), 1726-1730; in pairs of opposite
    orders after Mitchell, Cooper, Frank & Holmes (2022), Journal of Machine Learning Research 23(43).
    """
    drawn = [rng.permutation(players) for _ in range(orders)]
    walked = [order for one in drawn for order in (one, one[::-1])]
    coalitions = np.zeros((len(walked), players + 1, players), dtype=bool)
    for number, order in enumerate(walked):
        for step, player in enumerate(order):
            coalitions[number, step + 1 :, player] = True
    distinct, where = np.unique(coalitions.reshape(-1, players), axis=0, return_inverse=True)
    worth = value(distinct)[where].reshape(len(walked), players + 1, -1)  # (orders, M + 1, rest)
    gains = np.diff(worth, axis=1)
    found = np.zeros((players, worth.shape[2]))
    for number, order in enumerate(walked):
        found[order] += gains[number]
    rest = value(distinct[:1]).shape[1:]
    return np.asarray(found.reshape(players, *rest) / len(walked))
