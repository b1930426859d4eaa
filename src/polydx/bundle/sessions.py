"""One ONNX graph, looked over before it runs: plain operations, weights inside, nothing that grows without end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.bundle.graph_checks import check_graph
from polydx.errors import BundleError, PolydxError
from polydx.io.decoded import memory_bound
from polydx.io.parts import REMEDY, Parts

ROWS = 32
"""Rows at a time: what bounds memory, not the result."""
LEAST_MEMORY = 2 * 1024**3
"""Bytes that all graphs of a process may take together, or half of the machine's memory where that is more: a graph
computes sizes while it runs that are seen nowhere before."""


@dataclass(frozen=True)
class Graph:
    """A graph that runs.

    Attributes:
        name: of its part.
        session: of onnxruntime.
    """

    name: str
    session: Any

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the outputs for inputs (n, ...), a few rows at a time.

        Raises:
            BundleError: the graph cannot work on them.
        """
        wanted = [i.name for i in self.session.get_inputs()]
        count = len(next(iter(inputs.values())))
        found = []
        for start in range(0, max(count, 1), ROWS):
            given = {name: inputs[name][start : start + ROWS] for name in wanted}
            try:
                found.append(self.session.run(None, given))
            except Exception as error:
                raise BundleError(f"{self.name} does not work on this input ({_first_line(error)}): {REMEDY}") from None
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]


@cache
def _bound_memory() -> None:
    """Give all graphs of this process one pool of memory with an end: what goes beyond it fails, and is told."""
    import onnxruntime as ort

    most = max(LEAST_MEMORY, 2 * memory_bound())
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_asked = 1  # it grows by what is asked for, not by powers of two
    pool = ort.OrtArenaCfg({"max_mem": most, "arena_extend_strategy": as_asked})
    with suppress(Exception):  # somebody registered one in this process: graphs take that one
        ort.create_and_register_allocator(place, pool)


def open_graph(parts: Parts, name: str) -> Graph:
    """Return a graph of a bundle.

    Raises:
        BundleError: it is missing, broken, or holds what no graph of a bundle may hold.
    """
    import onnxruntime as ort

    content = parts.read(name)
    where = f"{parts.path}: {name}"
    try:
        check_graph(content, where)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_mem_pattern = False  # it would take each plan of a number of rows anew
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        return Graph(where, ort.InferenceSession(content, options, providers=["CPUExecutionProvider"]))
    except PolydxError:
        raise
    except Exception as error:  # onnxruntime has a class of its own for each of its refusals
        raise BundleError(f"{where} is no graph that can run ({_first_line(error)}): {REMEDY}") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
