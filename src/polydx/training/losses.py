"""Losses over several tasks where labels may be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from polydx.training.tensors import is_labelled

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (n, K), labels (n,) or (n, K)) -> the loss of each row (n,)."""


class CrossEntropy(nn.Module):
    """Cross-entropy of each row, over codes (n,) or class probabilities (n, K).

    Args:
        class_weights: (K,) weight of each class; a row counts by the weight of its class.
        smoothing: share of each label that is spread over all classes.
    """

    class_weights: Tensor | None

    def __init__(self, class_weights: ArrayLike | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("class_weights", _weights(class_weights))
        self.smoothing = smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row, (n,)."""
        loss: Tensor = functional.cross_entropy(
            logits, labels, weight=self.class_weights, reduction="none", label_smoothing=self.smoothing
        )
        return loss


class SoftLabels(nn.Module):
    """Cross-entropy against a distribution over the classes for each class.

    For labels that are known to be doubtful: row k says what a label k is worth, such as how often experts who look
    again find each class where one of them wrote k.

    Args:
        targets: (K, K) probabilities, one row a class, each summing to 1.
        class_weights: (K,) weight of each class; a row counts by the weight of its class.
    """

    targets: Tensor
    class_weights: Tensor | None

    def __init__(self, targets: ArrayLike, class_weights: ArrayLike | None = None) -> None:
        super().__init__()
        self.register_buffer("targets", _weights(targets))
        self.register_buffer("class_weights", _weights(class_weights))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row of (n, K) logits with (n,) codes."""
        loss: Tensor = functional.cross_entropy(logits, self.targets[labels].to(logits.dtype), reduction="none")
        return loss if self.class_weights is None else loss * self.class_weights[labels]


class OrdinalCrossEntropy(SoftLabels):
    """Cross-entropy against labels that lean towards the neighbouring classes: p(k) ~ exp(-|k - label| / spread).

    Reference: Diaz & Marathe (2019), CVPR, equation 4, with the absolute distance.

    Args:
        classes: K, in their order.
        spread: in classes; towards 0 it becomes the plain cross-entropy.
        class_weights: (K,) weight of each class.
    """

    def __init__(self, classes: int, spread: float = 0.5, class_weights: ArrayLike | None = None) -> None:
        steps = torch.arange(classes)
        distance = (steps[:, None] - steps[None]).abs().float()
        super().__init__(torch.softmax(-distance / spread, dim=1), class_weights)


class Focal(nn.Module):
    """Cross-entropy times (1 - p)^gamma, which turns away from rows that are already right.

    Reference: Lin et al. (2017), ICCV, equation 5.

    Args:
        gamma: how strongly; 0 is the cross-entropy.
        class_weights: (K,) weight of each class.
    """

    class_weights: Tensor | None

    def __init__(self, gamma: float = 2.0, class_weights: ArrayLike | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", _weights(class_weights))
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row of (n, K) logits with (n,) codes."""
        log_p = functional.log_softmax(logits, dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)  # (n,)
        loss = -((1.0 - log_p.exp()) ** self.gamma) * log_p
        return loss if self.class_weights is None else loss * self.class_weights[labels]


class BinaryWithLogits(nn.Module):
    """Binary cross-entropy for a head of one logit, or of one independent logit a class (the rows' mean over classes).

    Args:
        positive_weight: weight of the positive rows against the negative ones.
    """

    def __init__(self, positive_weight: float = 1.0) -> None:
        super().__init__()
        self.positive_weight = positive_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row of (n, 1) logits with (n,) codes 0 and 1, or of (n, K) with (n, K)."""
        target = labels.to(logits.dtype).reshape(logits.shape)
        weight = torch.tensor(self.positive_weight, dtype=logits.dtype, device=logits.device)
        loss = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="none")
        return loss.mean(dim=1)


class LearnedTaskWeights(nn.Module):
    """A learned uncertainty s for each task: its loss counts exp(-s), and s / 2 keeps s from growing.

    Reference: Kendall, Gal & Cipolla (2018), CVPR, equation 10, with s = log(sigma^2).
    """

    def __init__(self, tasks: list[str]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in tasks})

    def forward(self, task: str, loss: Tensor) -> Tensor:
        """Weight the loss of one task."""
        s = self.log_variance[task]
        weighted: Tensor = torch.exp(-s) * loss + s / 2
        return weighted


TaskWeights = Mapping[str, float] | LearnedTaskWeights


def multitask_loss(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    losses: Mapping[str, Loss],
    task_weights: TaskWeights | None = None,
    sample_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum the tasks' mean losses over the rows that carry a label.

    A task without any label in the batch adds 0 to the total, and gradients of exactly zero to its head.

    Args:
        logits: task -> (B, K).
        labels: task -> (B,) codes with -1 for no label, or (B, K) probabilities with zeros for no label.
        losses: task -> loss of each row.
        task_weights: task -> weight (1 where left out), or learned weights.
        sample_weights: (B,) weight of each row in the means.

    Returns:
        The total, a scalar; and task -> its unweighted mean loss, for the tasks with a label in the batch.
    """
    total = torch.zeros((), device=next(iter(logits.values())).device)
    per_task: dict[str, Tensor] = {}
    for task, values in logits.items():
        rows = is_labelled(labels[task])
        if not bool(rows.any()):
            # The sum of no rows: exactly 0 even where a logit is infinite, and still part of the graph.
            total = total + values[:0].sum()
            continue
        row_losses = losses[task](values[rows], labels[task][rows])
        loss = _mean(row_losses, None if sample_weights is None else sample_weights[rows])
        per_task[task] = loss
        total = total + _weighted(task, loss, task_weights)
    return total, per_task


def balanced_class_weights(labels: ArrayLike, classes: int, patients: ArrayLike | None = None) -> NDArray[np.float32]:
    """Weights by which every class counts the same: n / (classes present x n of the class).

    Args:
        labels: (N,) codes of the training rows, -1 for no label.
        classes: K.
        patients: (N,) patient identifiers; with them, n counts patients instead of samples.

    Returns:
        (K,) float32; 1 for a class that no row has.
    """
    codes = np.asarray(labels)
    pairs = codes[codes >= 0]
    if patients is not None:
        who = np.unique(np.asarray(patients), return_inverse=True)[1][codes >= 0]
        pairs = np.unique(np.stack([who, pairs]), axis=1)[1]
    counts = np.bincount(pairs, minlength=classes)
    present = counts > 0
    weights = np.ones(classes, dtype=np.float32)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def _weights(values: ArrayLike | None) -> Tensor | None:
    return None if values is None else torch.as_tensor(np.asarray(values, dtype=np.float32))


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return losses.mean()
    # Rows of weight 0 only: 0, not 0 / 0.
    return (losses * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _weighted(task: str, loss: Tensor, weights: TaskWeights | None) -> Tensor:
    if weights is None:
        return loss
    if isinstance(weights, LearnedTaskWeights):
        weighted: Tensor = weights(task, loss)
        return weighted
    return loss * weights.get(task, 1.0)
