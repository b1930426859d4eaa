"""Steps as a configuration names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np


class NamedStep(Protocol):
    """A step as a configuration holds it."""

    @property
    def name(self) -> str:
        """A key of the registry of steps."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters by name."""


Described: TypeAlias = NamedStep | tuple[str, Mapping[str, Any]] | str


def name_and_params(step: Described) -> tuple[str, dict[str, Any]]:
    """Return name and parameters of a step, however it is described."""
    if isinstance(step, str):
        return step, {}
    if isinstance(step, tuple):
        return step[0], dict(step[1])
    return step.name, dict(step.params)


def plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON holds them."""
    return {n: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for n, v in params.items()}
