import subprocess
import sys

import numpy as np
import pytest

from polydx.errors import AxisError, ConfigError
from polydx.explain.agnostic import log_odds, occlude_windows

AXIS = np.linspace(400.0, 1000.0, 301)


def test_the_window_over_the_band_that_a_score_reads_takes_all_of_it(rng):
    band = np.exp(-(((AXIS - 700) / 8) ** 2))
    spectra = 5 + 0.001 * AXIS + rng.random((4, 1)) * band
    found = occlude_windows(lambda x: x @ band, spectra, AXIS, width=60)
    assert found.shape == spectra.shape
    assert (np.abs(AXIS[found.argmax(axis=1)] - 700) <= 30).all()
    assert np.abs(found[:, np.abs(AXIS - 700) > 70]).max() < 1e-3 * found.max()


def test_a_band_that_equals_the_reference_counts_for_nothing_whatever_the_baseline(rng):
    shared, own = (np.exp(-(((AXIS - c) / 8) ** 2)) for c in (500, 800))
    spectra = 3 * shared + rng.random((3, 1)) * own + 2 - 0.002 * AXIS
    found = occlude_windows(lambda x: x.sum(axis=1), spectra, AXIS, width=40, reference=3 * shared)
    assert np.abs(found[:, np.abs(AXIS - 500) < 60]).max() < 1e-9
    assert (np.abs(AXIS[found.argmax(axis=1)] - 800) <= 20).all()


def test_several_scores_and_every_point_of_an_uneven_axis_are_covered(rng):
    axis = np.sort(rng.choice(np.linspace(400, 1800, 1401), 200, replace=False))
    told = []
    found = occlude_windows(
        lambda x: np.stack([x.sum(axis=1), -x.sum(axis=1)], axis=1), rng.random((2, 200)), axis, width=33,
        told=lambda number, count: told.append((number, count)),
    )  # fmt: skip
    assert found.shape == (2, 200, 2)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[..., 0], -found[..., 1])
    assert told[-1][0] == told[-1][1] == len(told)


def test_a_window_must_be_wider_than_a_point_and_an_axis_must_fit():
    with pytest.raises(ConfigError, match="a window of 1 cm\\^-1: expected more than the spacing"):
        occlude_windows(lambda x: x.sum(axis=1), np.ones((1, 301)), AXIS, width=1)
    with pytest.raises(AxisError, match=r"spectra have shape \(1, 300\), the axis \(301,\)"):
        occlude_windows(lambda x: x.sum(axis=1), np.ones((1, 300)), AXIS)


def test_log_odds_undo_a_sigmoid_and_stay_finite():
    x = np.array([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(log_odds(1 / (1 + np.exp(-x))), x)
    assert np.isfinite(log_odds([0.0, 1.0])).all()


def test_the_agnostic_methods_need_neither_torch_nor_scikit_learn():
    code = "import sys, polydx.explain.agnostic; print([m for m in ('torch', 'sklearn', 'captum') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
