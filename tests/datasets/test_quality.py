"""Saturation: the rule against a slow loop, and what it must not flag."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from polydx.datasets.quality import clipped_share, saturated
from polydx.errors import SpectrumError


def slow(values, run):
    top = [[v == max(row) for v in row] for row in values.tolist()]
    return [any(key and len(list(same)) >= run for key, same in groupby(row)) for row in top]


@pytest.mark.parametrize("run", [2, 3, 5])
def test_saturated_matches_a_slow_loop(rng, run):
    values = rng.integers(0, 4, (300, 12))
    assert saturated(values, run).tolist() == slow(values, run)


def test_a_flat_top_is_flagged_and_a_flat_valley_is_not():
    slope = np.arange(10.0)
    clipped, valley = np.minimum(slope, 6), np.maximum(slope, 6)
    assert saturated([clipped, valley, slope]).tolist() == [True, False, False]
    assert clipped_share([clipped, valley, slope]).tolist() == [0.4, 0.0, 0.0]


def test_a_maximum_that_comes_back_is_no_flat_top():
    assert not saturated([[1, 9, 2, 9, 3, 9, 4, 9]])[0]


def test_a_spectrum_does_not_depend_on_its_neighbours(rng):
    values = np.minimum(rng.integers(0, 50, (20, 40)), 30)
    assert saturated(values).tolist() == [bool(saturated(row[None])[0]) for row in values]


def test_spectra_shorter_than_the_run_are_not_saturated():
    assert saturated([[5, 5]]).tolist() == [False]


def test_values_of_one_dimension_are_refused():
    with pytest.raises(SpectrumError, match=r"expected spectra of shape \(n, L\), found \(3,\)"):
        saturated([1, 2, 3])


def test_a_run_of_one_is_refused():
    with pytest.raises(SpectrumError, match="at least 2 points, found run=1"):
        saturated([[1, 2, 3]], run=1)
