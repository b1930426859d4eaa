"""What watches a fit: losses by patient, then over tasks; and figures for who looks on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from polydx.models.bags import as_bags
from polydx.models.network import Network
from polydx.training.losses import Loss
from polydx.training.predict import modality_shares
from polydx.training.tensors import TensorSet, is_labelled, take_rows


def losses_of(
    logits: Mapping[str, Tensor], rows: TensorSet, losses: Mapping[str, Loss], device: torch.device
) -> dict[str, float]:
    """Return `monitor/<task>`, the loss averaged within patients, then over them; and `monitor`, the mean over tasks.

    A task without labels among the rows takes no part.
    """
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


def metrics_of(logits: Mapping[str, Tensor], rows: TensorSet) -> dict[str, float]:
    """Return `accuracy/<task>` and `auroc/<task>` of rows with a label; AUROC only where two classes occur.

    Of more than two classes, the AUROC is the mean over those that occur, each against the rest.
    """
    found = {}
    for task, values in logits.items():
        labels = rows.labels[task]
        labelled = is_labelled(labels)
        if not bool(labelled.any()):
            continue
        codes = (labels if labels.ndim == 1 else labels.argmax(dim=1))[labelled].numpy()
        scores = values[labelled].double()
        if scores.shape[1] == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
        found[f"accuracy/{task}"] = float((scores.argmax(dim=1).numpy() == codes).mean())
        classes = np.unique(codes)
        if len(classes) > 1:
            chances = torch.softmax(scores, dim=1).numpy()
            found[f"auroc/{task}"] = float(np.mean([_auroc(chances[:, c], codes == c) for c in classes]))
    return found


def shares_of(network: Network, rows: TensorSet, most: int = 256) -> dict[str, float]:
    """Return `share/<modality>`, the mean share of each in the embedding of the samples that have it.

    Of the first `most` samples; nothing where the fusion does not say.
    """
    few = take_rows(rows, torch.arange(min(most, len(rows))))
    found = modality_shares(network, few.inputs) if len(network.modalities) > 1 else None
    if found is None:
        return {}
    there = {name: as_bags(x).present.numpy() for name, x in few.inputs.items()}
    return {
        f"share/{name}": float(found[there[name], i].mean())
        for i, name in enumerate(network.modalities)
        if name in there and there[name].any()
    }


def _auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the share of pairs in which the positive one scores higher; ties count half."""
    ones = int(positive.sum())
    return float((rankdata(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * (len(scores) - ones)))
