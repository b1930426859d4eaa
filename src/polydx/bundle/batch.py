"""What is asked of a model at a time: samples without labels, with what was noticed while they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from polydx.recipes.store import Model
from polydx.study import UNLABELLED, Modality, RowIndex, Study


@dataclass
class Batch:
    """Samples of any modalities.

    Attributes:
        origin: a row a sample: `sample`, and where it comes from.
        modalities: those that any of them has.
        rows: modality -> which rows belong to which sample.
        warnings: position of a sample -> what its answer should be read with.
    """

    origin: pd.DataFrame
    modalities: Mapping[str, Modality]
    rows: Mapping[str, RowIndex]
    warnings: dict[int, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.origin)

    def study(self, model: Model) -> Study:
        """Return the samples as a study without labels; each is a patient of its own."""
        ids = pd.Index([str(i) for i in range(len(self))], name="sample", dtype=object)
        samples = pd.DataFrame({"patient": ids.to_numpy()}, index=ids)
        labels = pd.DataFrame(UNLABELLED, index=ids, columns=list(model.tasks), dtype=np.int64)
        name = str(model.about.get("study", "files"))
        return Study(name, samples, self.modalities, self.rows, model.tasks, labels, unit=model.unit)

    def has(self, order: Sequence[str]) -> list[list[str]]:
        """Return the modalities of each sample, in this order."""
        names = [name for name in order if name in self.rows]
        there = np.column_stack([self.rows[name].counts > 0 for name in names])
        if there.all():
            return [list(names) for _ in range(len(self))]
        return [[n for n, has in zip(names, row, strict=True) if has] for row in there.tolist()]
