"""Rows of one modality that belong to samples: none, one or several each."""

from __future__ import annotations

from collections.abc import Sized
from functools import cached_property
from typing import Any, Protocol, cast

import torch
from torch import Tensor


class Indexed(Sized, Protocol):
    """Anything of n rows that gives rows by a slice or by row numbers, such as a tensor."""

    def __getitem__(self, rows: Any) -> Tensor:
        """Return the asked rows."""
        ...


class Bags:
    """N samples with none, one or several rows each; indexed by samples, as a tensor of N rows is.

    Not a dataclass: Fabric would take it to pieces on its way into a network.

    Args:
        values: (n, ...) rows, those of sample i from `starts[i]` to `starts[i + 1]`.
        starts: (N + 1,) int64, on the CPU.
    """

    def __init__(self, values: Indexed, starts: Tensor) -> None:
        self.values, self.starts = values, starts

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.starts) - 1

    def __getitem__(self, samples: slice | Tensor) -> Bags:
        """Return the samples of a slice, a bool mask or numbers, with their rows."""
        chosen = torch.arange(len(self))[samples if isinstance(samples, slice) else samples.cpu()]
        starts = _starts(self.counts[chosen]) if self.ragged else torch.arange(len(chosen) + 1)
        return Bags(self.values[self.numbers(chosen)], starts)

    def numbers(self, samples: Tensor) -> Tensor:
        """Return (m,) int64, the numbers of the rows of these samples (n,), one sample after the other."""
        if not self.ragged:
            return samples
        counts = self.counts[samples]
        # Row j of the answer is row (j - its new start) after the old start of its sample.
        shift = torch.repeat_interleave(self.starts[samples] - _starts(counts)[:-1], counts)
        return shift + torch.arange(len(shift))

    @property
    def rows(self) -> Tensor:
        """The rows themselves, where they are held as a tensor."""
        return cast(Tensor, self.values)

    @cached_property
    def ragged(self) -> bool:
        """Whether some sample has not exactly one row."""
        return bool((self.counts != 1).any())

    @cached_property
    def counts(self) -> Tensor:
        """(N,) int64, rows of each sample."""
        return self.starts.diff()

    @property
    def present(self) -> Tensor:
        """(N,) bool, True where a sample has a row."""
        return self.counts > 0

    @cached_property
    def owner(self) -> Tensor:
        """(n,) int64, the sample each row belongs to."""
        return torch.repeat_interleave(torch.arange(len(self)), self.counts)

    def with_rows(self, values: Indexed) -> Bags:
        """Return the same samples with other values for the same rows."""
        return Bags(values, self.starts)

    def only(self, kept: Tensor) -> Bags:
        """Return the same samples, of which those outside the bool mask (N,) have no rows."""
        return Bags(self.values[torch.nonzero(kept[self.owner]).flatten()], _starts(self.counts * kept))

    def to(self, device: torch.device) -> Bags:
        """Return the bags with their rows on `device`."""
        return Bags(self.rows.to(device), self.starts)


def _starts(counts: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])


def rows_of(x: Tensor | Bags) -> Tensor:
    """Return the rows of either."""
    return x.rows if isinstance(x, Bags) else x


def as_bags(x: Tensor | Bags) -> Bags:
    """Return a tensor of N rows as N samples of one row each."""
    return x if isinstance(x, Bags) else Bags(x, torch.arange(len(x) + 1))
