"""A fixed number of random variants of each row, instead of a new one in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from polydx.models.bags import Bags, rows_of

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""(batch (B, C, L) or (B, C, H, W), generator on its device) -> a batch of the same shape."""


class Variant:
    """Rows under one fixed draw of their augmentation: indexed like the tensor of N rows itself.

    What a row becomes depends on its content and the number of the variant alone, so it is the same in every fit.

    Args:
        rows: (N, C, L) or (N, C, H, W).
        transform: what is drawn.
        number: of the variant, from 0.
    """

    def __init__(self, rows: Tensor, transform: Augment, number: int) -> None:
        self.rows, self.transform, self.number = rows, transform, number

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Return the transformed rows of a slice or of row numbers."""
        found = self.rows[rows]
        return torch.cat([self._drawn(row.unsqueeze(0)) for row in found]) if len(found) else found

    def _drawn(self, row: Tensor) -> Tensor:
        digest = sha256(self.number.to_bytes(8, "little") + row.cpu().contiguous().numpy().tobytes()).digest()
        generator = torch.Generator(row.device).manual_seed(int.from_bytes(digest[:8], "little"))
        return self.transform(row, generator)


def variants(inputs: Mapping[str, Tensor | Bags], augment: Mapping[str, Augment], count: int) -> list[dict[str, Any]]:
    """Return `count` versions of the inputs, each with its own variant of the modalities that are augmented."""
    return [
        {name: _variant(x, augment[name], number) if name in augment else x for name, x in inputs.items()}
        for number in range(count)
    ]


def _variant(x: Tensor | Bags, transform: Augment, number: int) -> Variant | Bags:
    drawn = Variant(rows_of(x), transform, number)
    return x.with_rows(drawn) if isinstance(x, Bags) else drawn
