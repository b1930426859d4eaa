"""What every augmentation is: fitted on the training rows, then drawn anew for every batch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from polydx.errors import AxisError, ConfigError, Problem


class Augmentation:
    """A random transform of a batch; every row draws its own numbers.

    Args:
        probability: share of the rows that are transformed; the others stay as they are.
    """

    def __init__(self, *, probability: float = 1.0) -> None:
        if not 0.0 <= probability <= 1.0:
            raise ConfigError(f"the probability of an augmentation must be from 0 to 1, but got {probability}")
        self.probability = probability
        self.sd = 0.0
        self.axis = torch.empty(0)

    def fit(self, x_train: Tensor, axis: ArrayLike | None = None) -> Self:
        """Learn the scale of the training rows.

        Args:
            x_train: (N, C, L), as the network will see them.
            axis: (L,) wavenumbers in cm^-1, ascending; the point numbers where left out.

        Returns:
            Itself.

        Raises:
            AxisError: the axis has another length than the rows, or does not ascend.
        """
        points = x_train.shape[-1]
        values = np.arange(points) if axis is None else np.asarray(axis)
        if values.shape != (points,):
            raise AxisError(f"the axis has {values.size} points, the spectra have {points}")
        if points > 1 and not bool(np.all(np.diff(values) > 0)):
            raise AxisError("augmentation needs an axis that ascends; sort the wavenumbers and the spectra with them")
        self.axis = torch.from_numpy(values.astype(np.float64)).to(torch.float32)
        self.sd = float(x_train.double().std(correction=0))
        return self

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform a batch (B, C, L) with numbers from `generator`, which lives on the device of `x`.

        Raises:
            ConfigError: `fit` was not called.
        """
        if not len(self.axis):
            raise ConfigError(f"{type(self).__name__} must be fitted on the training rows before it is used")
        if self.axis.device != x.device:
            self.axis = self.axis.to(x.device)
        changed = self.apply(x, generator)
        if self.probability == 1.0:
            return changed
        chosen = torch.rand(len(x), 1, 1, generator=generator, device=x.device) < self.probability
        return torch.where(chosen, changed, x)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform every row of (B, C, L); `self.axis` is (L,) on the same device."""
        raise NotImplementedError


class Chain:
    """Augmentations one after the other."""

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = tuple(steps)

    def fit(self, x_train: Tensor, axis: ArrayLike | None = None) -> Self:
        """Fit every step on the same training rows; see `Augmentation.fit`."""
        for step in self.steps:
            step.fit(x_train, axis)
        return self

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Transform a batch (B, C, L)."""
        for step in self.steps:
            x = step(x, generator)
        return x


def uniform(x: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """Draw one number from [low, high) for each row of (B, C, L): (B, 1, 1)."""
    return low + (high - low) * torch.rand(len(x), 1, 1, generator=generator, device=x.device, dtype=x.dtype)


class NamedStep(Protocol):
    """The name of an augmentation and its options."""

    @property
    def name(self) -> str:
        """A key of the registry."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Keyword arguments of its class."""
        ...


def build_chain(steps: Sequence[NamedStep], registry: Mapping[str, type[Augmentation]]) -> Chain:
    """Build augmentations by name, in order.

    Raises:
        ConfigError: an unknown name or option, or an impossible value; all are listed.
    """
    built, problems = [], []
    for step in steps:
        try:
            built.append(_build(step, registry))
        except ConfigError as error:
            problems.append(Problem(f"augmentation {step.name}", error.message))
    if problems:
        raise ConfigError("the augmentation cannot be built", problems)
    return Chain(built)


def _build(step: NamedStep, registry: Mapping[str, type[Augmentation]]) -> Augmentation:
    if step.name not in registry:
        raise ConfigError(f"unknown; expected one of {', '.join(registry)}")
    allowed = list(inspect.signature(registry[step.name]).parameters)
    unknown = [option for option in step.params if option not in allowed]
    if unknown:
        raise ConfigError(f"unknown option {', '.join(unknown)}; expected {', '.join(allowed)}")
    for option, value in step.params.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"option {option} must be a number, but got {value!r}")
    return registry[step.name](**step.params)
