"""Baselines of a whole study: polydx, all spectra at once, against pybaselines, one spectrum at a time.

    python benchmarks/baseline.py [--spectra 591] [--points 1174] [--repeats 3]

Both run in one thread on the same simulated spectra; the best of the repeats counts. The last column is the largest
difference of the two baselines as a part of the largest intensity.
"""

import argparse
import time

import numpy as np
from pybaselines import Baseline

from polydx.preprocessing.spectra import AirPLS, ArPLS, AsLS

METHODS = {"arpls": ArPLS, "asls": AsLS, "airpls": AirPLS}


def simulated(spectra, points, rng):
    """Bands on a curved background with noise, every spectrum with its own strengths."""
    axis = np.linspace(400, 1800, points)
    bands = np.exp(-(((axis - rng.uniform(450, 1750, (12, 1))) / rng.uniform(4, 15, (12, 1))) ** 2) / 2)
    curve = rng.uniform(2, 6, (spectra, 1)) * np.exp(-(axis - 400) / rng.uniform(500, 3000, (spectra, 1)))
    return 1000 * (curve + rng.uniform(0, 1, (spectra, 12)) @ bands + rng.normal(0, 0.02, (spectra, points)))


def best_time(work, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = work()
        times.append(time.perf_counter() - start)
    return min(times), answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=591)
    parser.add_argument("--points", type=int, default=1174)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    values = simulated(options.spectra, options.points, np.random.default_rng(0))
    peer = Baseline(np.arange(options.points, dtype=float))
    print(f"{options.spectra} spectra of {options.points} points")
    print(f"{'method':8} {'pybaselines s':>14} {'polydx s':>10} {'ratio':>7} {'difference':>12}")
    for name, step in METHODS.items():
        one_by_one = getattr(peer, name)
        theirs, expected = best_time(lambda fit=one_by_one: np.array([fit(row)[0] for row in values]), options.repeats)
        ours, found = best_time(lambda step=step: step().baseline(values), options.repeats)
        difference = np.abs(found - expected).max() / np.abs(values).max()
        print(f"{name:8} {theirs:14.3f} {ours:10.3f} {theirs / ours:7.1f} {difference:12.1e}")


if __name__ == "__main__":
    main()
