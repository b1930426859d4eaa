"""How long a fresh process takes until a bundle is ready, and until it has answered: CPU and wall seconds, and memory.

    python benchmarks/bundle_load.py BUNDLE [TIMES]

For a bundle of spectra. Each time is a new interpreter. What the imports of libraries alone take is measured beside it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

LOAD = "import sys, numpy as np; from polydx.bundle import load; model = load(sys.argv[1])"
ANSWER = """
name, about = next(iter(model.modalities.items()))
model.predict([{name: (np.sin(about["axis"] / 50)[None], about["axis"])}])
"""
TIMED = {
    "import numpy, pandas, pydantic": "import numpy, pandas, pydantic",
    "and onnxruntime": "import numpy, pandas, pydantic, onnxruntime",
    "polydx.bundle.load": LOAD,
    "and a first answer": LOAD + ANSWER,
}
MEMORY = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"


def main(bundle: str, times: int) -> None:
    for name, code in TIMED.items():
        runs = [fresh(code + MEMORY, bundle) for _ in range(times)]
        cpu, wall, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:31s} {cpu:.2f} s of CPU, {wall:.2f} s, {memory:.0f} MB (median of {times})")


def fresh(code: str, bundle: str) -> tuple[float, float, float]:
    """Return CPU seconds, seconds and MB of a new interpreter that runs the code."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    told = subprocess.run([sys.executable, "-c", code, bundle], check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, float(told)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
