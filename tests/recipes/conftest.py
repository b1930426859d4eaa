"""Tiny fits on one thread: more threads only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from mixed_studies import Make, mixed
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Patients with a bag of spectra, an image and a row of a table each, of which some lack one."""
    return partial(mixed, tmp_path_factory.mktemp("mixed"))
