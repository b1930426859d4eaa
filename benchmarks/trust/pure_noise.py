"""What does the whole pipeline find where there is nothing to find?

    OMP_NUM_THREADS=1 python benchmarks/trust/pure_noise.py [--quick] [--jobs 2]

simulates cohorts whose spectra do not depend on the disease (though patients differ), runs preprocessing, selection of
points, a search for settings, calibration, early stopping and fits through `cross_validate`, and averages the figures
over cohorts. An honest pipeline is right half of the time. The same numbers come out every time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from interval_coverage import options
from joblib import Parallel, delayed
from scipy.stats import rankdata
from tables import Table

from polydx.datasets.simulated import simulate_two_class
from polydx.validation.cross_validation import cross_validate
from polydx.validation.scores import score_predictions

PATIENTS, SPECTRA, POINTS, RESAMPLES = 30, 2, 64, 200
K_FOLD, LEAVE_ONE_OUT = "stratified-group-k-fold", "leave-one-patient-out"
COHORTS = {K_FOLD: 200, LEAVE_ONE_OUT: 50}
CONTROLS, CONTROL_EFFECT = 10, 3.0  # cohorts with an effect, so that 0.5 elsewhere is no sign of a dead pipeline

POINTS_TO_COMPONENTS = ["snv", "standardise", {"pca": {"components": 10}}]
CLASSICAL: dict[str, Any] = {
    "logistic": {
        "kind": "classical",
        "model": "logistic_regression",
        "preprocessing": {"raman": POINTS_TO_COMPONENTS},
    },
    "selected": {
        "kind": "classical",
        "model": "logistic_regression",
        "preprocessing": {"raman": ["snv", "standardise", {"select_best": {"k": 5}}]},
    },
    "svm": {"kind": "classical", "model": "svm", "preprocessing": {"raman": POINTS_TO_COMPONENTS}},
}
SEARCHED: dict[str, Any] = {
    "searched": {
        **CLASSICAL["logistic"],
        "search": {"space": {"params.C": [0.001, 0.1, 10.0], "preprocessing.raman.pca.components": [3, 10]}},
    }
}
NETWORK: dict[str, Any] = {
    "cnn": {
        "kind": "network",
        "backbones": {"raman": {"name": "cnn", "width": 4, "multipliers": [1, 2]}},
        "neck": "average",
        "preprocessing": {"raman": ["snv", "standardise"]},
        "training": {"epochs": 15, "batch_size": 16, "lr": 0.01, "patience": 3},
    }
}
WHAT = {
    "logistic": "PCA, logistic regression",
    "selected": "5 best of 64 points, logistic regression",
    "svm": "PCA, SVM, calibrated on inner patients",
    "searched": "PCA, logistic regression, the best of 7 settings on inner patients",
    "cnn": "CNN, stopped on inner patients",
}


@dataclass(frozen=True)
class Found:
    """One recipe on one cohort.

    Attributes:
        auroc: of patients, over all folds together.
        within: mean of each fold's AUROC; NaN where a fold has one class.
        samples: AUROC of samples.
        accuracy: of patients.
        holds: whether the intervals of the AUROC of patients, of that of samples, and of the accuracy hold 0.5.
    """

    auroc: float
    within: float
    samples: float
    accuracy: float
    holds: tuple[bool, bool, bool]


Cohort = tuple[dict[str, Found], dict[str, float]]


def judge(seed: int, split: str, recipes: Mapping[str, Any], effect: float = 0.0) -> Cohort:
    """Return recipe -> figures of one cohort, and rival -> p of its AUROC against that of `logistic`."""
    study = simulate_two_class(PATIENTS, SPECTRA, seed, points=POINTS, effect=effect)
    table = cross_validate(study, recipes, split, seeds=[seed]).predictions
    primary = {"recipe": "logistic", "versus": None, "task": "disease", "level": "patient", "metric": "auroc"}
    scored = score_predictions(table, study.tasks, resamples=RESAMPLES, seed=seed, primary=primary)
    found = {}
    for name in recipes:
        task = scored["recipes"][name]["tasks"]["disease"]
        figures = (task["patient"]["auroc"], task["sample"]["auroc"], task["patient"]["accuracy"])
        estimates = [f["estimate"] for f in figures]
        holds = tuple(f["low"] <= 0.5 <= f["high"] for f in figures)
        within = within_folds(table[table["recipe"] == name])
        found[name] = Found(estimates[0], within, estimates[1], estimates[2], holds)
    return found, {c["b"]: c["p"] for c in scored["comparisons"]}


def within_folds(table: pd.DataFrame) -> float:
    """Return the mean over folds of the AUROC of the fold's patients."""
    own = table[table["class"] == "disease"]
    patients = own.groupby(["fold", "patient"]).agg(p=("probability", "mean"), y=("label", "first")).reset_index()
    areas = [_area(f["p"].to_numpy(), (f["y"] == "disease").to_numpy()) for _, f in patients.groupby("fold")]
    return float(np.mean(areas))


def _area(scores: np.ndarray, ill: np.ndarray) -> float:
    m, n = int(ill.sum()), int((~ill).sum())
    return float((rankdata(scores)[ill].sum() - m * (m + 1) / 2) / (m * n)) if m and n else float("nan")


def tables(quick: bool, jobs: int) -> list[Table]:
    """Return all tables."""
    plans = [(split, 2 if quick else COHORTS[split], 0.0) for split in COHORTS]
    plans += [(K_FOLD, 2 if quick else CONTROLS, CONTROL_EFFECT)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows, tested = [], []
    for split, cohorts, effect in plans:
        recipes = CLASSICAL if split == LEAVE_ONE_OUT else CLASSICAL | SEARCHED | NETWORK
        calls = (delayed(judge)(seed, split, recipes, effect) for seed in range(cohorts))
        done = list(Parallel(n_jobs=jobs)(calls))
        rows += [_row(name, split, effect, [found[name] for found, _ in done]) for name in recipes]
        if not effect:
            tested += [_test_row(name, split, [p[name] for _, p in done]) for name in recipes if name != "logistic"]
    header = ["recipe", "split", "cohorts", "AUROC, patients", "mean AUROC within folds", "AUROC, samples",
              "accuracy, patients", "intervals that hold 0.5: AUROC patients / samples / accuracy, %"]  # fmt: skip
    note = "Mean over cohorts ± Monte-Carlo standard error. The control has an effect."
    title = f"Pure noise: {PATIENTS} patients (half of them 'ill'), {SPECTRA} spectra each, no effect of the disease"
    return [
        Table(title, header, rows, note),
        Table(
            "Pure noise: how often DeLong's paired test finds two recipes different at 5 %",
            ["recipe against logistic", "split", "cohorts", "p <= 0.05, %"],
            tested,
            "Both recipes are worth nothing, so every finding is an error of the first kind.",
        ),
    ]


def _row(name: str, split: str, effect: float, found: Sequence[Found]) -> list[str]:
    held = 100 * np.mean([f.holds for f in found], axis=0)
    columns = [np.array([getattr(f, key) for f in found]) for key in ("auroc", "within", "samples", "accuracy")]
    label = WHAT[name] + (" (control)" if effect else "")
    return [
        label,
        split,
        str(len(found)),
        *map(_mean, columns),
        "-" if effect else " / ".join(f"{h:.0f}" for h in held),
    ]


def _mean(values: np.ndarray) -> str:
    if np.isnan(values).any():
        return "one class a fold"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def _test_row(name: str, split: str, ps: Sequence[float | None]) -> list[str]:
    known = np.array([1.0 if p is None else p for p in ps])
    share = (known <= 0.05).mean()
    return [
        WHAT[name],
        split,
        str(len(known)),
        f"{100 * share:.1f} ± {100 * np.sqrt(share * (1 - share) / len(known)):.1f}",
    ]


if __name__ == "__main__":
    given = options(__doc__).parse_args()
    print("\n\n".join(table.markdown() for table in tables(given.quick, given.jobs)))
