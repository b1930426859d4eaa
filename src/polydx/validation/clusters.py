"""Units (samples) that take their weight from a cluster (their patient): sums over clusters, and work in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.study import IntArray

Floats = NDArray[np.float64]

CHUNK = 1 << 17  # elements worked on at a time, so that they stay in the processor's cache


def row_chunks(rows: int, columns: int) -> Iterator[slice]:
    """Cut `rows` into slices of about `CHUNK` elements of `columns` each."""
    step = max(1, CHUNK // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, start + step)


def sum_by_cluster(values: NDArray[np.floating[Any]], clusters: IntArray, count: int) -> Floats:
    """Sum (N, M) values over the units of each cluster: (P, M)."""
    from scipy.sparse import csr_array

    units = np.arange(len(clusters))
    chooser = csr_array((np.ones(len(clusters)), (clusters, units)), shape=(count, len(clusters)))
    return np.asarray(chooser @ values, dtype=np.float64)
