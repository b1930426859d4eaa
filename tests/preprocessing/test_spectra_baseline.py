"""Baselines against pybaselines and against a dense solution of the same system."""

import numpy as np
import pytest
from pybaselines import Baseline

from polydx.errors import ConfigError
from polydx.preprocessing.spectra import AirPLS, ArPLS, AsLS, PolynomialBaseline
from polydx.preprocessing.spectra.penalised import FEW, Whittaker
from polydx.preprocessing.spectra.polynomial import orthonormal_polynomials

POINTS = 220


@pytest.fixture
def spectra():
    rng = np.random.default_rng(3)
    place = np.arange(POINTS)
    shape = np.exp(-(((place - np.array([[50], [110], [170]])) / 5) ** 2) / 2)
    curve = rng.uniform(1, 4, (30, 1)) * np.exp(-place / rng.uniform(60, 400, (30, 1)))
    return 1000 * (curve + rng.uniform(0, 1, (30, 3)) @ shape + rng.normal(0, 0.01, (30, POINTS)))


@pytest.mark.parametrize(
    ("step", "method"),
    [
        (ArPLS(), "arpls"),
        (ArPLS(lam=1e3, tol=1e-6), "arpls"),
        (ArPLS(lam=1e2, max_iter=2), "arpls"),
        (AsLS(), "asls"),
        (AsLS(lam=1e4, p=0.05), "asls"),
        (AirPLS(), "airpls"),
        (AirPLS(lam=1e3, max_iter=15, tol=1e-4), "airpls"),
    ],
    ids=repr,
)
def test_least_squares_baselines_match_pybaselines(spectra, step, method):
    expected = np.array([getattr(Baseline(), method)(row, **step.get_params())[0] for row in spectra])
    np.testing.assert_allclose(step.baseline(spectra), expected, atol=1e-7 * np.abs(spectra).max())
    np.testing.assert_allclose(step.fit_transform(spectra), spectra - expected, atol=1e-7 * np.abs(spectra).max())


@pytest.mark.parametrize("method", ["modpoly", "imodpoly"])
def test_polynomial_baselines_match_pybaselines(spectra, method):
    place = np.arange(POINTS, dtype=float)
    options = {} if method == "modpoly" else {"mask_initial_peaks": False}
    expected = [getattr(Baseline(place), method)(row, poly_order=4, **options)[0] for row in spectra]
    found = PolynomialBaseline(order=4, method=method).baseline(spectra)
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(spectra).max())


def test_a_plain_polynomial_matches_numpy_on_an_uneven_axis(spectra):
    axis = 400 + np.linspace(0, 30, POINTS) ** 2
    expected = [np.polynomial.Polynomial.fit(axis, row, 5)(axis) for row in spectra]
    found = PolynomialBaseline(order=5, method="plain", axis=axis).baseline(spectra)
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(spectra).max())


def test_polynomials_are_orthonormal_up_to_high_orders():
    basis = orthonormal_polynomials(np.linspace(400, 1800, 500), 20)
    np.testing.assert_allclose(basis @ basis.T, np.eye(21), atol=1e-12)


@pytest.mark.parametrize("spectra_at_once", [2, FEW, FEW + 1, 40])
@pytest.mark.parametrize("points", [2, 3, 4, 5, 60])
def test_the_elimination_solves_the_dense_system(points, spectra_at_once):
    rng = np.random.default_rng(points)
    values = rng.normal(size=(points, spectra_at_once))
    weights = rng.uniform(0.1, 1, size=(points, spectra_at_once))
    found = Whittaker(points, spectra_at_once, 50.0).smooth(values, weights)
    D = np.diff(np.eye(points), 2, axis=0)
    for n in range(spectra_at_once):
        W = np.diag(weights[:, n])
        np.testing.assert_allclose(found[:, n], np.linalg.solve(W + 50.0 * D.T @ D, W @ values[:, n]), atol=1e-10)


def test_short_and_long_vectors_give_the_same_bits():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(80, 20)), rng.uniform(size=(80, 20))
    smoother = Whittaker(80, 20, 1e4)
    together = smoother.smooth(values, weights).copy()
    assert np.array_equal(smoother.smooth(values[:, :3].copy(), weights[:, :3].copy()), together[:, :3])


@pytest.mark.parametrize("step", [ArPLS(), AsLS(), AirPLS(), PolynomialBaseline()], ids=repr)
@pytest.mark.parametrize("level", [0.0, -3.0, 1e6])
def test_a_constant_spectrum_is_its_own_baseline(step, level):
    found = step.fit_transform(np.full((3, 100), level))
    np.testing.assert_allclose(found, 0, atol=1e-6 * max(abs(level), 1))


@pytest.mark.parametrize(
    "step", [ArPLS(lam=1e9), AirPLS(max_iter=200, tol=1e-300), ArPLS(lam=1e-3, tol=1e-300)], ids=repr
)
def test_extreme_settings_stay_finite(step, spectra):
    assert np.all(np.isfinite(step.fit_transform(spectra)))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (ArPLS(lam=-1), "ArPLS.lam .*greater than 0, found -1"),
        (ArPLS(lam=1e12), "less than or equal to"),
        (AsLS(p=1), "AsLS.p .*less than 1"),
        (AirPLS(max_iter=0), "AirPLS.max_iter"),
        (PolynomialBaseline(order=POINTS), "less than or equal to 20"),
        (PolynomialBaseline(method="poly"), "`modpoly`"),
    ],
    ids=repr,
)
def test_parameters_out_of_range_are_refused(spectra, step, message):
    with pytest.raises(ConfigError, match=message):
        step.fit(spectra)


def test_a_polynomial_needs_more_points_than_its_order(spectra):
    with pytest.raises(ConfigError, match="is 5, not below the 4 points"):
        PolynomialBaseline(order=5).fit(spectra[:, :4])
