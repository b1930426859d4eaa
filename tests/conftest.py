"""Tiny studies in memory, and where the real data are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polydx.study import RowIndex, Spectra, Study, Task

ROOT = Path(__file__).parent.parent


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def studies() -> Path:
    """The shipped study files."""
    return ROOT / "studies"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data are not at {folder}")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


MakeStudy = Callable[..., Study]


@pytest.fixture
def make_study() -> MakeStudy:
    """Build a small study: two-class patients whose spectra carry a band, with options for each contract."""

    def make(
        patients: int = 8, each: int = 3, points: int = 60, effect: float = 2.0, seed: int = 0, **changes: object
    ) -> Study:
        rng = np.random.default_rng(seed)
        n = patients * each
        axis = np.linspace(600.0, 1600.0, points)
        codes = np.repeat(np.arange(patients) % 2, each)
        band = np.exp(-(((axis - 1003) / 30) ** 2))
        values = 10 + rng.normal(size=(n, points)) * 0.3 + np.repeat(rng.normal(size=patients) * 0.2, each)[:, None]
        values += effect * codes[:, None] * band
        ids = pd.Index([f"p{i // each}/s{i % each}" for i in range(n)], name="sample", dtype=object)
        parts: dict[str, object] = {
            "name": "tiny",
            "samples": pd.DataFrame({"patient": [f"tiny/p{i // each:02d}" for i in range(n)]}, index=ids),
            "modalities": {"raman": Spectra(values.astype(np.float32), axis)},
            "rows": {"raman": RowIndex.one_each(n)},
            "tasks": {"disease": Task(("no", "yes"))},
            "labels": pd.DataFrame({"disease": codes}, index=ids),
        }
        return Study(**(parts | changes))  # type: ignore[arg-type]

    return make
