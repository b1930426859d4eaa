"""Cutting, resampling and bringing together wavenumber axes."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from polydx.errors import AxisError, ConfigError
from polydx.preprocessing.spectra import Crop, Resample, common_axis, resample_onto
from polydx.preprocessing.spectra.base import check_axis

AXIS = np.arange(400.0, 1801.0, 2.0)
VALUES = np.vstack([np.sin(AXIS / 90), AXIS / 1000, np.cos(AXIS / 50) + 2])


def test_crop_keeps_both_ends_of_the_range():
    step = Crop(low=500, high=900, axis=AXIS).fit(VALUES)
    kept = (AXIS >= 500) & (AXIS <= 900)
    assert np.array_equal(step.transform(VALUES), VALUES[:, kept])
    assert np.array_equal(step.axis_out(AXIS), AXIS[kept])
    assert np.array_equal(Crop(axis=AXIS).fit_transform(VALUES), VALUES)


def test_crop_refuses_a_range_without_points():
    with pytest.raises(AxisError, match=r"no point of the axis \(400 to 1800 cm\^-1\) lies from 1900 to 2000"):
        Crop(low=1900, high=2000, axis=AXIS).fit(VALUES)
    with pytest.raises(ConfigError, match="low below high, found 900 and 500"):
        Crop(low=900, high=500, axis=AXIS).fit(VALUES)


@pytest.mark.parametrize("step", [Crop(low=500), Resample(step=3.0)], ids=repr)
def test_steps_in_wavenumbers_need_an_axis_that_fits(step):
    with pytest.raises(AxisError, match="needs the axis of the spectra"):
        step.fit(VALUES)
    with pytest.raises(AxisError, match="spectra have 701 points, the axis 700"):
        step.set_params(axis=AXIS[1:]).fit(VALUES)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (AXIS[::-1], "descending: reverse it"),
        ([400, 402, 401, 405], "402 is followed by 401 at point 2"),
        ([400, 400], "400 is followed by 400"),
        ([400, np.nan, 402], "not finite at point 1"),
        ([[400, 401]], r"shape \(L,\), found \(1, 2\)"),
        ([], r"shape \(L,\), found \(0,\)"),
        (["a"], "axis of numbers"),
    ],
)
def test_what_is_no_axis_is_refused(axis, message):
    with pytest.raises(AxisError, match=message):
        check_axis(axis)


def test_linear_resampling_matches_numpy():
    target = np.linspace(401.3, 1799.2, 333)
    expected = [np.interp(target, AXIS, row) for row in VALUES]
    np.testing.assert_allclose(resample_onto(VALUES, AXIS, target), expected, atol=1e-12)


def test_cubic_resampling_matches_scipy():
    target = np.linspace(400, 1800, 333)
    expected = CubicSpline(AXIS, VALUES, axis=1)(target)
    np.testing.assert_allclose(resample_onto(VALUES, AXIS, target, how="cubic"), expected, atol=1e-10)


def test_resampling_onto_the_same_axis_changes_nothing():
    found = resample_onto(VALUES, AXIS, AXIS, how="cubic")
    assert np.array_equal(found, VALUES)
    assert not np.shares_memory(found, VALUES)


def test_resampling_refuses_to_extrapolate_and_names_what_is_missing():
    with pytest.raises(AxisError, match=r"cover 400 to 1800.*; 390 to 400 and 1800 to 1810 cm.* is missing"):
        resample_onto(VALUES, AXIS, np.linspace(390, 1810, 100))
    with pytest.raises(AxisError, match="1800 to 1802"):
        Resample(stop=1802.0, step=2.0, axis=AXIS).fit(VALUES)


def test_an_end_within_the_tolerance_takes_the_value_of_the_edge():
    target = np.array([399.5, 1000.0, 1800.9])
    found = resample_onto(VALUES, AXIS, target)
    assert np.array_equal(found[:, [0, 2]], VALUES[:, [0, -1]])
    with pytest.raises(AxisError, match=r"399\.5 to 400"):
        resample_onto(VALUES, AXIS, target, tolerance=0.1)
    assert resample_onto(VALUES, AXIS, [395.0], tolerance=5)[:, 0].tolist() == VALUES[:, 0].tolist()


def test_resampling_refuses_spectra_that_do_not_fit_their_axis():
    with pytest.raises(AxisError, match="do not fit an axis of 700 points"):
        resample_onto(VALUES, AXIS[1:], AXIS)


def test_a_resample_step_is_described_by_points_or_by_a_grid():
    grid = Resample(start=500, stop=506, step=1.5, axis=AXIS).fit(VALUES)
    assert grid.axis_out(AXIS).tolist() == [500, 501.5, 503, 504.5, 506]
    points = Resample(onto=[500.0, 501.5, 503.0, 504.5, 506.0], axis=AXIS)
    assert np.array_equal(points.fit_transform(VALUES), grid.transform(VALUES))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "either `onto`"),
        ({"onto": [500.0], "step": 1.0}, "either `onto`"),
        ({"onto": [500.0], "start": 400.0}, "leave `start` and `stop` out"),
        ({"start": 600, "stop": 500, "step": 1.0}, "start below stop, found 600 and 500"),
        ({"step": 0.0}, "greater than 0"),
        ({"step": 1.0, "how": "nearest"}, "`linear` or `cubic`"),
    ],
)
def test_a_resample_step_that_describes_no_axis_is_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        Resample(**params, axis=AXIS).fit(VALUES)


def test_a_grid_that_starts_beyond_the_spectra_is_refused():
    with pytest.raises(AxisError, match="start 1900 lies above stop 1800"):
        Resample(start=1900, step=1.0, axis=AXIS).fit(VALUES)


def test_the_common_axis_is_the_overlap_at_the_coarsest_spacing():
    found = common_axis([np.arange(400, 1801, 1.0), np.arange(450.5, 1900, 2.5), np.arange(300, 1700, 2.0)])
    assert found[0] == 450.5
    assert found[-1] <= 1698
    assert np.allclose(np.diff(found), 2.5)
    assert 1698 - found[-1] < 2.5
    for axis in (np.arange(400, 1801, 1.0), np.arange(300, 1700, 2.0)):
        resample_onto(np.ones((1, len(axis))), axis, found, tolerance=0)


def test_equal_axes_are_their_own_common_axis():
    uneven = np.sort(np.random.default_rng(0).uniform(400, 1800, 50))
    assert np.array_equal(common_axis([uneven, uneven.copy()]), uneven)


def test_axes_that_do_not_overlap_have_no_common_one():
    with pytest.raises(AxisError, match="do not overlap: one starts at 1000 and one ends at 900"):
        common_axis([np.arange(400.0, 901.0), np.arange(1000.0, 1500.0)])
    with pytest.raises(AxisError, match="no axis was given"):
        common_axis([])
    with pytest.raises(AxisError, match="single point"):
        common_axis([[400.0], [400.0, 401.0]])
