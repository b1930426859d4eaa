"""How often each training row comes up in an epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from polydx.training.options import Oversample
from polydx.training.tensors import TensorSet, is_labelled


def row_weights(rows: TensorSet, how: Oversample) -> Tensor | None:
    """Return (N,) float64 weights under which patients or classes come up equally often; None for every row once.

    `patient`: a row counts 1 / (rows of its patient). `class`: 1 / (rows of its class), summed over the tasks in which
    it carries a label; soft labels count as their largest class.
    """
    if how == "none":
        return None
    if how == "patient":
        return _one_over_count(rows.patient_codes.cpu())
    weights = torch.zeros(len(rows), dtype=torch.float64)
    for labels in rows.labels.values():
        labelled = is_labelled(labels).cpu()
        codes = (labels if labels.ndim == 1 else labels.argmax(dim=1)).cpu()[labelled]
        if len(codes):
            # Over the number of classes, so that each task brings the same total.
            weights[labelled] += _one_over_count(codes) / len(torch.unique(codes))
    return weights


def _one_over_count(codes: Tensor) -> Tensor:
    _, inverse, counts = torch.unique(codes, return_inverse=True, return_counts=True)
    weights: Tensor = 1.0 / counts[inverse].double()
    return weights
