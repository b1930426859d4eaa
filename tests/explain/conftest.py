"""One thread, and fits on a small cohort with a strong effect, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from polydx.datasets.simulated import simulate_two_class
from polydx.explain.subjects import Subject
from polydx.recipes.build import build_recipes
from polydx.recipes.protocol import Recipe

DERIVATIVE = [{"savitzky_golay": {"window": 11, "order": 3, "derivative": 1}}, "snv"]
NETWORK = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 8}},
    "training": {"epochs": 20, "batch_size": 16, "lr": 0.003, "patience": None},
}
RECIPES = {
    "cnn": {**NETWORK, "preprocessing": {"raman": DERIVATIVE}},
    "cropped": {
        **NETWORK,
        "preprocessing": {"raman": [{"crop": {"low": 601, "high": 1700}}, *DERIVATIVE]},
        "training": {"epochs": 1},
    },
    "logistic": {
        "kind": "classical", "model": "logistic_regression", "params": {"C": 0.01},
        "preprocessing": {"raman": [*DERIVATIVE, "standardise"]},
    },
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def recipes() -> dict[str, Recipe]:
    study = simulate_two_class(patients=32, spectra_per_patient=3, seed=1, points=701, effect=4.0)
    return build_recipes(RECIPES, study)


@pytest.fixture(scope="session")
def subject(recipes) -> Callable[[str], Subject]:
    """Fit a recipe on three quarters of the patients, once; it explains the others."""
    study = simulate_two_class(patients=32, spectra_per_patient=3, seed=1, points=701, effect=4.0)
    code = study.patient_codes[0]
    train, test = study.take(np.flatnonzero(code % 4 != 0)), study.take(np.flatnonzero(code % 4 == 0))
    made: dict[str, Subject] = {}

    def fitted(name: str) -> Subject:
        if name not in made:
            with threadpool_limits(1):
                made[name] = Subject(recipes[name].fit(train, 0), train, test, refit=lambda s: recipes[name].fit(s, 0))
        return made[name]

    return fitted
