"""What a request asks about: cases, each with the measurements and values of one sample.

Shapes: `n` spectra of a file, `L` points of the axis, `H, W` height and width, `C` channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[Any]
Values: TypeAlias = Mapping[str, float | str | bool | None]


@dataclass(frozen=True)
class SpectraRows:
    """Spectra on one axis: values (n, L), and the axis (L,) in cm^-1, rising."""

    values: NDArray[np.float64]
    axis: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many."""
        return len(self.values)

    def row(self, i: int) -> SpectraRows:
        """Return one of them alone."""
        return SpectraRows(self.values[i : i + 1], self.axis)


@dataclass(frozen=True)
class ImageRows:
    """Frames of one file, each (H, W) or (H, W, C)."""

    frames: Sequence[Pixels]

    def __len__(self) -> int:
        """Return how many."""
        return len(self.frames)

    def row(self, i: int) -> ImageRows:
        """Return one of them alone."""
        return ImageRows([self.frames[i]])


Rows: TypeAlias = SpectraRows | ImageRows


@dataclass(frozen=True)
class Case:
    """One sample.

    Attributes:
        name: what the client calls it.
        rows: modality -> one entry a file.
        values: modality of a table -> column -> value; None where it is not known.
    """

    name: str
    rows: dict[str, list[Rows]] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)

    @property
    def modalities(self) -> list[str]:
        """What there is of it."""
        return [*self.rows, *self.values]


def split_rows(modality: str, found: Sequence[tuple[str, Rows]]) -> list[Case]:
    """Return a case for each spectrum or frame of some files, called after its file."""
    cases = []
    for file, rows in found:
        many = len(rows) > 1
        cases += [Case(f"{file} #{i + 1}" if many else file, {modality: [rows.row(i)]}) for i in range(len(rows))]
    return cases
