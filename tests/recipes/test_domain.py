"""The training domain of spectra: distances against scikit-learn's PCA, limits on patients left out."""

import numpy as np
import pytest

from polydx.datasets.simulated import Instrument, simulate_two_class
from polydx.recipes.domain import Domain, fit_domain


@pytest.fixture(scope="module")
def cohort():
    return simulate_two_class(patients=30, spectra_per_patient=3, points=120, seed=1)


def scaled(values):
    from scipy.signal import medfilt

    x = np.diff([medfilt(np.pad(row, 2, mode="edge"), 5)[2:-2] for row in np.asarray(values, dtype=np.float64)])
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def test_distances_are_those_of_principal_components(cohort):
    from sklearn.decomposition import PCA

    values = cohort.spectra("raman").values
    domain = fit_domain(cohort, "raman")
    count = len(domain.variances)
    pca = PCA(count, svd_solver="full").fit(scaled(values))
    projected = pca.transform(scaled(values))
    t2, q = domain.distances(values)
    np.testing.assert_allclose(t2, (projected**2 / pca.explained_variance_).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(q, ((scaled(values) - pca.inverse_transform(projected)) ** 2).sum(axis=1), rtol=1e-6)
    assert pca.explained_variance_ratio_.sum() >= 0.95 or count == 10


def test_new_patients_of_the_same_kind_are_mostly_inside_and_another_instrument_is_not(cohort):
    domain = fit_domain(cohort, "raman")
    new = simulate_two_class(patients=60, spectra_per_patient=3, points=120, seed=2).spectra("raman").values
    other = simulate_two_class(
        patients=60, spectra_per_patient=3, points=120, seed=2, instrument=Instrument(counts=300, fluorescence=8.0)
    ).spectra("raman").values  # fmt: skip
    assert len(domain.outside(new)) / len(new) < 0.06
    assert len(domain.outside(other)) / len(other) > 0.9
    why = next(iter(domain.outside(other).values()))
    assert why.startswith("unlike the training spectra: ")
    assert "limit" in why


def test_brightness_and_offset_change_nothing_and_a_constant_spectrum_is_outside(cohort):
    values = cohort.spectra("raman").values[:4].astype(np.float64)
    domain = fit_domain(cohort, "raman")
    np.testing.assert_allclose(domain.distances(values), domain.distances(3 * values + 100), rtol=1e-6)
    assert 0 in domain.outside(np.ones((1, 120)))


def test_the_order_of_patients_changes_nothing_of_note_and_few_patients_have_no_domain(cohort):
    one = fit_domain(cohort, "raman")
    again = fit_domain(cohort.take(np.arange(len(cohort))[::-1]), "raman")
    np.testing.assert_allclose(one.limits, again.limits, rtol=1e-6)
    assert fit_domain(cohort.take(np.arange(27)), "raman") is None


@pytest.mark.parametrize("broken", ["mean", "loadings", "variances", "limits"])
def test_broken_arrays_are_refused(cohort, broken):
    arrays = fit_domain(cohort, "raman").arrays()
    Domain.from_arrays(arrays, 120)
    arrays[broken] = np.full_like(arrays[broken], np.nan)
    with pytest.raises(ValueError, match="the training domain is broken"):
        Domain.from_arrays(arrays, 120)
