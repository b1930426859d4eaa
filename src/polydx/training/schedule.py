"""Learning rates as a pure function of the step, and the optimisers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, pi
from typing import Any, TypeAlias

from torch import nn, optim

from polydx.training.options import TrainingOptions

Group: TypeAlias = dict[str, Any]

RISE = 0.3
"""Share of the steps that the one-cycle schedule rises (Smith & Topin 2019, as in torch)."""
START, END = 1 / 25, 1 / 25e4
"""First and last rate of the one-cycle schedule, against the largest."""


def rate_factor(step: int, steps_per_epoch: int, options: TrainingOptions) -> float:
    """Return what the learning rate is multiplied by at `step` (from 0)."""
    total = options.epochs * steps_per_epoch
    warm = round(options.warmup * steps_per_epoch)
    if step < warm:
        return (step + 1) / warm
    if options.schedule == "cosine":
        return 0.5 * (1 + cos(pi * (step - warm) / max(1, total - warm)))
    if options.schedule == "onecycle":
        return _one_cycle(step, total)
    if options.schedule == "step":
        return options.step_factor ** (step // steps_per_epoch // options.step_every)
    return 1.0


def _one_cycle(step: int, total: int) -> float:
    top = RISE * total - 1
    if step <= top:
        return _anneal(START, 1.0, step / top)
    return _anneal(1.0, END, (step - top) / max(1e-9, total - 1 - top))


def _anneal(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + cos(pi * share))


def build_optimiser(parameters: Iterable[nn.Parameter] | Sequence[Group], options: TrainingOptions) -> optim.Optimizer:
    """Build the optimiser over the parameters that are not frozen.

    Args:
        parameters: all of them, or groups as `layered_groups` makes them.
        options: optimiser, rates and decay.
    """
    listed = list(parameters)
    groups: list[Group] = listed if listed and isinstance(listed[0], dict) else [{"params": listed}]  # type: ignore[assignment]
    free: list[Group] = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]
    free = [group for group in free if group["params"]]
    if options.optimiser == "sgd":
        return optim.SGD(free, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay)
    kind = optim.AdamW if options.optimiser == "adamw" else optim.Adam
    # One pass over each parameter instead of eight; elsewhere than on a CPU it would not go with clipping in 16-mixed.
    fused = True if options.accelerator == "cpu" else None
    return kind(free, lr=options.lr, betas=options.betas, weight_decay=options.weight_decay, fused=fused)


def layered_groups(layers: Sequence[Iterable[nn.Parameter]], decay: float) -> list[Group]:
    """Return one parameter group a layer, from the top; the rate of layer i is scaled by decay^i.

    Reference: Howard & Ruder (2018), ACL, section 3.2.
    """
    return [{"params": list(layer), "scale": decay**depth} for depth, layer in enumerate(layers)]


def set_rate(optimiser: optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, times the group's own scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
