"""The knobs of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from polydx.errors import ConfigError, Problem
from polydx.models.options import known

OPTIMISERS = ("adam", "adamw", "sgd")
SCHEDULES = ("none", "cosine", "onecycle", "step")
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
PRECISIONS = get_args(Precision)
Oversample = Literal["none", "patient", "class"]


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is fitted.

    Attributes:
        epochs: passes over the training rows, at most.
        batch_size: rows a step, at least 2 (batch norm needs two); a last batch of one row joins the one before.
        lr: the largest learning rate of the schedule.
        weight_decay: L2 penalty (adam, sgd) or decoupled decay (adamw).
        optimiser: adam, adamw or sgd.
        betas: decay rates of adam and adamw.
        momentum: of sgd.
        schedule: none; cosine (to 0); onecycle (up from lr / 25 for 30 % of the steps, then down); step (times
            `step_factor` every `step_every` epochs).
        warmup: epochs of linear growth from 0 before the schedule; not with onecycle, which has its own.
        step_every: epochs between the steps of the step schedule.
        step_factor: what each step multiplies the rate by.
        patience: epochs without a better monitor loss before the fit stops; 0 never stops.
        mixup: largest share of another training row with the same labels that is mixed into each row; 0 mixes none.
        modality_dropout: probability of leaving a modality out of a sample in training, never its last one.
        augmentation_variants: draw this many variants of each training row once and take turns, an epoch each; 0 draws
            anew in every batch.
        oversample: draw the rows of an epoch with replacement, so that every patient, or every class of each task,
            comes up as often as the others; none takes every row once.
        unfreeze_every: epochs after which one more stage of the backbones learns, from the last to the first; until
            then it keeps its weights. 0 lets all of them learn from the start.
        layer_lr_decay: what the learning rate is multiplied by from one stage to the one before it, starting at the
            last stage; necks, fusion and heads keep the full rate.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        precision: as Fabric names it.
        accelerator: cpu, cuda, mps, or auto for the best there is.

    Raises:
        ConfigError: an impossible value; all are listed.
    """

    epochs: int = 30
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.0
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    schedule: Literal["none", "cosine", "onecycle", "step"] = "none"
    warmup: float = 0.0
    step_every: int = 50
    step_factor: float = 0.5
    patience: int = 0
    mixup: float = 0.0
    modality_dropout: float = 0.0
    augmentation_variants: int = 0
    oversample: Oversample = "none"
    unfreeze_every: int = 0
    layer_lr_decay: float = 1.0
    gradient_clip: float = 0.0
    precision: Precision = "32-true"
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        known(self.optimiser, OPTIMISERS, "optimiser")
        known(self.schedule, SCHEDULES, "schedule")
        known(self.precision, PRECISIONS, "precision")
        known(self.oversample, get_args(Oversample), "oversampling")
        least = {"epochs": 1, "batch_size": 2, "step_every": 1, "patience": 0, "warmup": 0}
        least |= {"gradient_clip": 0, "weight_decay": 0, "momentum": 0, "unfreeze_every": 0, "augmentation_variants": 0}
        problems = [
            Problem(name, f"must be at least {low}, but got {getattr(self, name)}")
            for name, low in least.items()
            if not getattr(self, name) >= low
        ]
        problems += [
            Problem(name, f"must be above 0, but got {getattr(self, name)}")
            for name in ("lr", "step_factor")
            if not getattr(self, name) > 0
        ]
        if not 0.0 < self.layer_lr_decay <= 1.0:
            problems.append(Problem("layer_lr_decay", f"must be above 0 and at most 1, but got {self.layer_lr_decay}"))
        if not 0.0 <= self.mixup <= 1.0:
            problems.append(Problem("mixup", f"must be from 0 to 1, but got {self.mixup}"))
        if not 0.0 <= self.modality_dropout < 1.0:
            what = f"must be from 0 up to, not including, 1, but got {self.modality_dropout}"
            problems.append(Problem("modality_dropout", what))
        if self.schedule == "onecycle" and self.warmup > 0:
            problems.append(Problem("warmup", "onecycle brings its own warm-up; set warmup to 0"))
        if problems:
            raise ConfigError("the training options cannot be used", problems)
