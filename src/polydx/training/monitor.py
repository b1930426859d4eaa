"""The loss that watches a fit: by patient, then over tasks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polydx.training.losses import Loss
from polydx.training.predict import batched_logits
from polydx.training.prefix import Rows
from polydx.training.tensors import TensorSet, is_labelled


def monitor_losses(
    network: nn.Module,
    rows: TensorSet,
    losses: Mapping[str, Loss],
    device: torch.device,
    batch_size: int = 256,
    inputs: Mapping[str, Rows] | None = None,
    after: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Return `monitor/<task>`, the loss averaged within patients, then over them; and `monitor`, the mean over tasks.

    A task without labels among the rows takes no part. `inputs`, if given, stand in place of those of the rows: feature
    maps after the stages that `after` names.
    """
    logits = batched_logits(network, rows.inputs if inputs is None else inputs, device, batch_size, after)
    found: dict[str, float] = {}
    for task, values in logits.items():
        labels = rows.labels[task]
        labelled = is_labelled(labels)
        if not bool(labelled.any()):
            continue
        with torch.inference_mode():
            per_row = losses[task](values[labelled].to(device), labels[labelled].to(device)).cpu()
        found[f"monitor/{task}"] = float(patient_mean(per_row.double(), rows.patient_codes[labelled]))
    return {"monitor": sum(found.values()) / len(found), **found}


def patient_mean(values: Tensor, patients: Tensor) -> Tensor:
    """Average (n,) values within each patient, then over the patients."""
    codes = torch.unique(patients, return_inverse=True)[1]
    sums = torch.zeros(int(codes.max()) + 1, dtype=values.dtype).index_add_(0, codes, values)
    return (sums / torch.bincount(codes)).mean()
