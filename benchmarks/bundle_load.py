"""How long a fresh process takes until a bundle is ready: CPU and wall seconds, and what memory it then holds.

    python benchmarks/bundle_load.py BUNDLE [TIMES]

Each time is a new interpreter. The imports of numpy, pandas and pydantic alone, which nothing here can shorten, are
measured beside it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

ALONE = "import numpy, pandas, pydantic"
LOAD = "import sys; from polydx.bundle import load; load(sys.argv[1])"
MEMORY = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"


def main(bundle: str, times: int) -> None:
    for name, code in (("numpy, pandas, pydantic", ALONE), ("polydx.bundle.load", LOAD)):
        runs = [fresh(code + MEMORY, bundle) for _ in range(times)]
        cpu, wall, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:24s} {cpu:.2f} s of CPU, {wall:.2f} s, {memory:.0f} MB (median of {times})")


def fresh(code: str, bundle: str) -> tuple[float, float, float]:
    """Return CPU seconds, seconds and MB of a new interpreter that runs the code."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    told = subprocess.run([sys.executable, "-c", code, bundle], check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, float(told)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
