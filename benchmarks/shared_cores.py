"""Two fits on the same cores at once, as `polydx train` beside another job: threads that wait in a loop, or asleep.

    python benchmarks/shared_cores.py [--epochs 4] [--rounds 4]

Each process trains a small network with as many threads as there are cores: alone, then two at a time. By default
OpenMP's threads wait for one another in a loop, which keeps the core from the thread that is waited for: how long that
takes depends on where the system happens to put them. The command line sets OMP_WAIT_POLICY=passive where nothing else
is set.
"""

import argparse
import os
import subprocess
import sys
from statistics import median
from typing import NamedTuple

FIT = """
import sys, time
from polydx.datasets.simulated import simulate_two_class
from polydx.recipes.build import build_recipes
study = simulate_two_class(patients=40, spectra_per_patient=8, points=900)
training = {"epochs": 1, "patience": None}
recipe = {"kind": "network", "backbones": {"raman": "cnn"}, "training": training}
fit = build_recipes({"cnn": recipe}, study, threads=int(sys.argv[1]))["cnn"].fit
for _ in range(1 + int(sys.argv[2])):  # the first pays for compilation
    start = time.perf_counter()
    fit(study, 0)
    print(time.perf_counter() - start)
"""


class Seconds(NamedTuple):
    """Of an epoch."""

    middle: float
    longest: float


def seconds(policy: str, processes: int, epochs: int, rounds: int) -> Seconds:
    """Return how long an epoch takes with so many processes at once."""
    left_out = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    command = [sys.executable, "-c", FIT, str(os.cpu_count() or 1), str(epochs)]
    told: list[float] = []
    for _ in range(rounds):
        started = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(processes)
        ]
        told += [float(line) for process in started for line in process.communicate()[0].split()[1:]]
        if any(process.returncode for process in started):
            raise SystemExit("a fit failed: see above")
    return Seconds(median(told), max(told))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores and as many threads a process; seconds of an epoch, median (longest)")
    print("| processes at once | default | passive |\n| --- | --- | --- |")
    for processes in (1, 2):
        found = [seconds(policy, processes, given.epochs, given.rounds) for policy in ("", "passive")]
        cells = " | ".join(f"{one.middle:.2f} ({one.longest:.2f})" for one in found)
        print(f"| {processes} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
