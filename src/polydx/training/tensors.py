"""The rows that a network is fitted on: tensors joined by position, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from polydx.errors import Problem, StudyError
from polydx.models.bags import Bags, rows_of


@dataclass(frozen=True)
class TensorSet:
    """N samples: inputs, labels and who they belong to.

    Attributes:
        inputs: modality -> (N, C, L), (N, C, H, W) or (N, D) float32, finite; or bags of such rows, where a sample has
            none, one or several.
        labels: task -> (N,) int64 with -1 for no label, or (N, K) float32 of class probabilities with rows of
            zeros for no label.
        patients: (N,) int64 patient codes; without them every sample counts as its own patient.
        weights: (N,) float32 weights of the samples in the training loss; all 1 without them.

    Raises:
        StudyError: lengths differ, an input is not finite, a sample has no row of any modality, or a label is no code;
            all problems are listed.
    """

    inputs: Mapping[str, Tensor | Bags]
    labels: Mapping[str, Tensor]
    patients: Tensor | None = None
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        problems = [*_lengths(self), *_values(self)]
        if problems:
            raise StudyError("the rows to train on do not fit together", problems)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def patient_codes(self) -> Tensor:
        """(N,) int64, one code a patient."""
        return torch.arange(len(self)) if self.patients is None else self.patients

    def to(self, device: torch.device) -> TensorSet:
        """Return the same rows on `device`."""
        return TensorSet(
            {name: x.to(device) for name, x in self.inputs.items()},
            {task: y.to(device) for task, y in self.labels.items()},
            None if self.patients is None else self.patients.to(device),
            None if self.weights is None else self.weights.to(device),
        )


def tensor_set(
    inputs: Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike],
    patients: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> TensorSet:
    """Build a `TensorSet` from arrays.

    Args:
        inputs: modality -> (N, L) spectra, which get one channel, or (N, C, L), or (N, C, H, W).
        labels: task -> (N,) codes, or (N, K) class probabilities.
        patients: (N,) patient identifiers of any kind.
        weights: (N,) weights of the samples.
    """
    tensors = {}
    for name, values in inputs.items():
        x = torch.from_numpy(np.array(values, dtype=np.float32))
        tensors[name] = x.unsqueeze(1) if x.ndim == 2 else x  # (N, 1, L)
    codes = None if patients is None else torch.from_numpy(np.unique(np.asarray(patients), return_inverse=True)[1])
    weight = None if weights is None else torch.from_numpy(np.array(weights, dtype=np.float32))
    return TensorSet(tensors, {task: _label_tensor(y) for task, y in labels.items()}, codes, weight)


def take_rows(rows: TensorSet, kept: Tensor) -> TensorSet:
    """Return the rows of a bool mask (N,), or of row numbers."""
    return TensorSet(
        {name: x[kept] for name, x in rows.inputs.items()},
        {task: y[kept] for task, y in rows.labels.items()},
        None if rows.patients is None else rows.patients[kept],
        None if rows.weights is None else rows.weights[kept],
    )


def rows_alone(rows: TensorSet, modality: str) -> TensorSet:
    """Return the rows of one modality, each with the labels, patient and weight of its sample."""
    x = rows.inputs[modality]
    if not isinstance(x, Bags):
        return TensorSet({modality: x}, rows.labels, rows.patients, rows.weights)
    labels = {task: y[x.owner] for task, y in rows.labels.items()}
    weights = None if rows.weights is None else rows.weights[x.owner]
    return TensorSet({modality: x.rows}, labels, rows.patient_codes[x.owner], weights)


def is_labelled(labels: Tensor) -> Tensor:
    """Return (N,) bool: which rows of (N,) codes or (N, K) class probabilities carry a label."""
    return labels >= 0 if labels.ndim == 1 else labels.sum(dim=1) > 0


def label_groups(rows: TensorSet) -> Tensor:
    """Return (N,) int64: the same code for rows with the same labels in every task."""
    columns = [y.unsqueeze(1).double() if y.ndim == 1 else y.double() for y in rows.labels.values()]
    codes: Tensor = torch.unique(torch.cat(columns, dim=1), dim=0, return_inverse=True)[1]
    return codes


def _label_tensor(labels: ArrayLike) -> Tensor:
    array = np.asarray(labels)
    return torch.from_numpy(array.astype(np.int64 if array.ndim == 1 else np.float32))


def _lengths(rows: TensorSet) -> list[Problem]:
    if not rows.inputs:
        return [Problem("inputs", "no modality; a network needs at least one")]
    tensors: dict[str, Tensor | Bags] = {**rows.inputs, **rows.labels}
    if rows.patients is not None:
        tensors["patients"] = rows.patients
    if rows.weights is not None:
        tensors["weights"] = rows.weights
    return [
        Problem(name, f"expected {len(rows)} rows, found {len(tensor)}")
        for name, tensor in tensors.items()
        if len(tensor) != len(rows)
    ]


def _values(rows: TensorSet) -> list[Problem]:
    problems = []
    for name, x in rows.inputs.items():
        bad = torch.nonzero(~torch.isfinite(rows_of(x).flatten(1)).all(dim=1)).flatten().tolist()
        if bad:
            problems.append(Problem(name, f"not finite (NaN or infinity) in rows {', '.join(map(str, bad[:10]))}"))
    bags = [x for x in rows.inputs.values() if isinstance(x, Bags)]
    if len(bags) == len(rows.inputs) and len({len(x) for x in bags}) == 1:
        empty = torch.nonzero(torch.stack([x.counts for x in bags]).sum(dim=0) == 0).flatten().tolist()
        if empty:
            problems.append(Problem("inputs", f"no row of any modality for samples {', '.join(map(str, empty[:10]))}"))
    for task, y in rows.labels.items():
        if y.ndim == 1 and (y.is_floating_point() or (len(y) > 0 and int(y.min()) < -1)):
            problems.append(Problem(task, "labels must be whole class codes from 0, or -1 for no label"))
    return problems
