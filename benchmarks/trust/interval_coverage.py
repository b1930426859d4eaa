"""How often do 95 % intervals hold the truth, and how often do tests find a difference that is not there?

    OMP_NUM_THREADS=1 python benchmarks/trust/interval_coverage.py [--quick] [--jobs 2]

draws cohorts from fixed score distributions (see `simulated_scores`), makes intervals and tests with the code that
makes those of metrics.json, and counts. The same numbers come out every time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from simulated_scores import Cell, draw, ignoring_patients, measured, truths, without_slopes
from tables import Table

from polydx.validation.comparisons import compare
from polydx.validation.figures import figure
from polydx.validation.measure import WITHIN_PATIENT

AIM = (93.0, 97.0)
COHORTS, RESAMPLES = 1000, 1000
QUICK_COHORTS, QUICK_RESAMPLES, QUICK_POPULATION = 5, 50, 2000

PATIENT = (
    *("auroc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "balanced_accuracy", "f1"),
    *("average_precision", "brier", "log_loss"),
)
SAMPLE = (
    *("auroc", "accuracy", "sensitivity", "specificity", "balanced_accuracy", "f1", "average_precision", "brier"),
    *("log_loss", WITHIN_PATIENT),
)
NAIVE = ("auroc", "accuracy", "brier")
PLAIN = ("patient balanced_accuracy", "patient brier", "sample auroc", "sample accuracy", "sample sensitivity")
FEW = 30  # patients, up to which the plain percentiles are shown for contrast
SHOWN = ("patient", "sample", "plain", "naive")
LEVELS = {"patient": PATIENT, "sample": SAMPLE, "naive": NAIVE}
PAIRED = (("patient", "auroc"), ("patient", "accuracy"), ("patient", "balanced_accuracy"), ("patient", "brier"),
          ("sample", "auroc"), ("sample", "accuracy"))  # fmt: skip

TWO_CLASS = [
    Cell(patients, (1 - share, share), (auroc,))
    for patients in (30, 100)
    for share in (0.5, 0.3)
    for auroc in (0.7, 0.85, 0.95)
]
AS_THEY_COME = [Cell(patients, (0.7, 0.3), (0.85,), "as they come") for patients in (30, 100)]
SEVERAL = [Cell(30, (0.34, 0.33, 0.33)), Cell(60, (0.5, 0.33, 0.17)), Cell(120, (0.5, 0.33, 0.17))]
PAIRS = [Cell(patients, aurocs=aurocs) for aurocs in ((0.85, 0.85), (0.9, 0.8)) for patients in (30, 100)]


@dataclass(frozen=True)
class Effort:
    """How many cohorts a cell has, and what else costs time."""

    cohorts: int = COHORTS
    resamples: int = RESAMPLES
    population: int = 200_000
    jobs: int = 1


@dataclass
class Tally:
    """Cohorts seen, intervals given, truths held, and tests that found a difference."""

    seen: int = 0
    given: int = 0
    held: int = 0
    tested: int = 0
    found: int = 0
    width: float = 0.0

    def add(self, low: float | None, high: float | None, truth: float, p: float | None = None) -> None:
        self.seen += 1
        if low is not None and high is not None:
            self.given += 1
            self.held += low - 1e-9 <= truth <= high + 1e-9
            self.width += high - low
        if p is not None:
            self.tested += 1
            self.found += p <= 0.05

    def coverage(self) -> str:
        """Return held of given in per cent, bold outside the aim, and how many were given if not all."""
        if self.given < 0.1 * self.seen:
            return "none given"
        share = 100 * self.held / self.given
        text = f"{share:.1f}" if AIM[0] <= round(share, 1) <= AIM[1] else f"**{share:.1f}**"
        return text if self.given >= 0.995 * self.seen else f"{text} ({100 * self.given / self.seen:.0f} % given)"

    def rejected(self) -> str:
        """Return how many tests found a difference, in per cent."""
        return f"{100 * self.found / self.tested:.1f}" if self.tested else "no test"


Key = tuple[str, str]


def cover(cell: Cell, effort: Effort) -> dict[Key, Tally]:
    """Return (level, metric) -> tally of the figures of one recipe."""
    truth, found = truths(cell, effort.population), {}
    contrast = len(cell.shares) == 2 and cell.recruited == "by class"
    with without_slopes():
        for number in range(effort.cohorts):
            rng = cell.seeded(number)
            samples = draw(cell, rng)
            levels = {"patient": samples.to_patients(), "sample": samples}
            if contrast:
                levels["naive"] = ignoring_patients(samples)
            for level, units in levels.items():
                own = measured(units, effort.resamples, rng)["r0"]
                for name in LEVELS[level]:
                    f, known = figure(own, name), truth["r0", level.replace("naive", "sample"), name]
                    found.setdefault((level, name), Tally()).add(f["low"], f["high"], known)
                    if contrast and cell.patients <= FEW and f"{level} {name}" in PLAIN:
                        low, high = np.percentile(own.draws.overall[name], [2.5, 97.5])
                        found.setdefault(("plain", f"{level} {name}"), Tally()).add(low, high, known)
    return dict(sorted(found.items(), key=lambda entry: SHOWN.index(entry[0][0])))


def cover_differences(cell: Cell, effort: Effort) -> dict[Key, Tally]:
    """Return (level, metric) -> tally of the paired differences of two recipes."""
    truth, found = truths(cell, effort.population), {}
    equal = len(set(cell.aurocs)) == 1
    with without_slopes():
        for number in range(effort.cohorts):
            rng = cell.seeded(number)
            samples = draw(cell, rng)
            levels = {"patient": samples.to_patients(), "sample": samples}
            both = {level: measured(units, effort.resamples, rng) for level, units in levels.items()}
            for level, name in PAIRED:
                d = compare(both[level]["r0"], both[level]["r1"], name)
                known = 0.0 if equal else truth["r0", level, name] - truth["r1", level, name]
                found.setdefault((level, name), Tally()).add(d.low, d.high, known, d.p)
    return found


METHODS = {"auroc": "DeLong", **dict.fromkeys(("accuracy", "sensitivity", "specificity", "ppv", "npv"), "Wilson")}
TESTS = {("patient", "auroc"): "DeLong", ("patient", "accuracy"): "McNemar, Tango"}


def _label(key: Key, several: bool) -> str:
    level, name = key
    method = METHODS.get(name, "bootstrap") if level == "patient" else "bootstrap"
    if several and name != "accuracy":
        method = "bootstrap"
    if level == "naive":
        return f"sample {name}, patients ignored"
    if level == "plain":
        return f"{name.replace('_', ' ')}, plain percentiles"
    return f"{level} {name.replace('_', ' ')} ({method})"


def _head(cell: Cell) -> str:
    shares = "/".join(f"{100 * share:.0f}" for share in cell.shares)
    return f"P={cell.patients}, {shares} %, AUROC {'/'.join(f'{a:g}' for a in cell.aurocs)}"


def _table(title: str, cells: Sequence[Cell], tallies: Sequence[dict[Key, Tally]], note: str) -> Table:
    several = len(cells[0].shares) > 2
    rows = [[_label(key, several), *(tally[key].coverage() for tally in tallies)] for key in tallies[0]]
    return Table(title, ["figure", *map(_head, cells)], rows, note)


def _differences(cells: Sequence[Cell], tallies: Sequence[dict[Key, Tally]], note: str) -> Table:
    rows = []
    for key in PAIRED:
        name = f"{key[0]} {key[1].replace('_', ' ')} ({TESTS.get(key, 'bootstrap')})"
        rows.append([name, *(f"{tally[key].coverage()} / {tally[key].rejected()}" for tally in tallies)])
    return Table(
        "Paired differences: coverage in %, and how many tests say p <= 0.05 in %",
        ["difference", *map(_head, cells)],
        rows,
        note + " With equal AUROC the second number is the error of the first kind (aim: at most 5), else the power.",
    )


def tables(effort: Effort) -> list[Table]:
    """Return all tables."""
    jobs: list[Callable[[Effort], dict[Key, Tally]]] = [
        *(partial(cover, cell) for cell in (*TWO_CLASS, *AS_THEY_COME, *SEVERAL)),
        *(partial(cover_differences, cell) for cell in PAIRS),
    ]
    done = list(Parallel(n_jobs=effort.jobs)(delayed(job)(effort) for job in reversed(jobs)))[::-1]
    error = 100 * np.sqrt(0.95 * 0.05 / effort.cohorts)
    note = (
        f"{effort.cohorts} cohorts a column, {effort.resamples} resamples each; Monte-Carlo standard error "
        f"{error:.1f} at 95 %. Bold: outside {AIM[0]:.0f}-{AIM[1]:.0f} %."
    )
    half, two = len(TWO_CLASS) // 2, len(TWO_CLASS)
    title = "Coverage of 95 % intervals, {} patients with 5 samples each, in %"
    return [
        _table(title.format(30), TWO_CLASS[:half], done[:half], note),
        _table(title.format(100), TWO_CLASS[half:], done[half:two], note),
        _table("Coverage where patients come as they come, in %", AS_THEY_COME, done[two : two + 2], note),
        _table("Coverage with three classes (macro averages), in %", SEVERAL, done[two + 2 : two + 5], note),
        _differences(PAIRS, done[two + 5 :], note),
    ]


def options(described: str) -> argparse.ArgumentParser:
    """Return the command line that these scripts share."""
    parser = argparse.ArgumentParser(description=described.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few cohorts: shows that it runs, not what is true")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side; changes no number")
    return parser


def effort_of(quick: bool, jobs: int) -> Effort:
    """Return how much to compute."""
    return Effort(QUICK_COHORTS, QUICK_RESAMPLES, QUICK_POPULATION, jobs) if quick else Effort(jobs=jobs)


if __name__ == "__main__":
    given = options(__doc__).parse_args()
    print("\n\n".join(table.markdown() for table in tables(effort_of(given.quick, given.jobs))))
