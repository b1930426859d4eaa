"""Learning rates as a pure function of the step, and the optimisers."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi

from torch import nn, optim

from polydx.training.options import TrainingOptions

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


def build_optimiser(parameters: Iterable[nn.Parameter], options: TrainingOptions) -> optim.Optimizer:
    """Build the optimiser over the parameters that are not frozen."""
    free = [p for p in parameters if p.requires_grad]
    if options.optimiser == "sgd":
        return optim.SGD(free, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay)
    kind = optim.AdamW if options.optimiser == "adamw" else optim.Adam
    return kind(free, lr=options.lr, betas=options.betas, weight_decay=options.weight_decay)
