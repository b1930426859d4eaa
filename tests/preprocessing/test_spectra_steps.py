"""Steps that work point by point or row by row, against SciPy, scikit-learn and plain loops."""

import numpy as np
import pytest
from scipy.signal import savgol_filter
from sklearn import decomposition
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.preprocessing import StandardScaler, normalize

from polydx.errors import AxisError, ConfigError, SpectrumError
from polydx.preprocessing.spectra import (
    MSC,
    PCA,
    SNV,
    AirPLS,
    AreaNorm,
    ArPLS,
    AsLS,
    ClipNegative,
    Crop,
    Despike,
    MinMaxNorm,
    PolynomialBaseline,
    Resample,
    SavitzkyGolay,
    SelectBest,
    Standardise,
    VectorNorm,
)

AXIS = np.linspace(400, 1800, 151)


def bands(n, rng, noise=0.01):
    """Spectra with three bands on a slope, on AXIS."""
    shape = np.exp(-(((AXIS - np.array([[700], [1000], [1450]])) / 25) ** 2) / 2)
    slope = rng.uniform(1, 3, (n, 1)) * (2 - AXIS / 1800)
    return rng.uniform(0.2, 2, (n, 3)) @ shape + slope + rng.normal(0, noise, (n, len(AXIS)))


@pytest.fixture
def spectra():
    return bands(40, np.random.default_rng(0))


ROWWISE = [
    Crop(low=500, high=1500, axis=AXIS),
    Resample(step=7.3, axis=AXIS),
    Resample(start=450, stop=1700, step=7.3, how="cubic", axis=AXIS),
    ClipNegative(),
    Despike(),
    ArPLS(lam=1e3),
    AsLS(lam=1e3),
    AirPLS(lam=1e3),
    PolynomialBaseline(order=4),
    PolynomialBaseline(order=4, method="imodpoly", axis=AXIS),
    PolynomialBaseline(order=4, method="plain"),
    SavitzkyGolay(),
    SavitzkyGolay(window=9, order=2, derivative=2),
    SNV(),
    VectorNorm(),
    AreaNorm(),
    MinMaxNorm(),
    MSC(),
]


@pytest.mark.parametrize("step", ROWWISE, ids=repr)
def test_a_row_alone_equals_the_row_in_any_batch_to_the_last_bit(step, spectra):
    together = step.fit_transform(spectra)
    assert together.dtype == np.float64
    for i in range(0, len(spectra), 9):
        assert np.array_equal(step.transform(spectra[i : i + 1])[0], together[i])
    assert np.array_equal(step.transform(spectra[3:8]), together[3:8])
    assert np.array_equal(step.transform(np.asfortranarray(spectra)), together)


@pytest.mark.parametrize("step", [*ROWWISE, Standardise(), PCA(3)], ids=repr)
def test_no_rows_give_no_rows(step, spectra):
    assert len(step.fit(spectra).transform(spectra[:0])) == 0


@pytest.mark.parametrize("derivative", [0, 1, 2])
@pytest.mark.parametrize("window", [5, 11, 151])
def test_savitzky_golay_matches_scipy(spectra, window, derivative):
    found = SavitzkyGolay(window, 3, derivative).fit_transform(spectra)
    np.testing.assert_allclose(found, savgol_filter(spectra, window, 3, deriv=derivative, axis=1), atol=1e-9)


def test_a_derivative_per_wavenumber_is_that_per_point_over_the_spacing(spectra):
    found = SavitzkyGolay(11, 3, 1, spacing="axis", axis=AXIS).fit_transform(spectra)
    expected = savgol_filter(spectra, 11, 3, deriv=1, delta=AXIS[1] - AXIS[0], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_derivative_per_wavenumber_is_refused_on_an_irregular_axis(spectra):
    with pytest.raises(AxisError, match=r"axis is irregular .* resample the spectra first"):
        SavitzkyGolay(spacing="axis", axis=AXIS + (AXIS / 1000) ** 3 * 20).fit(spectra)
    with pytest.raises(AxisError, match="needs the axis"):
        SavitzkyGolay(spacing="axis").fit(spectra)


def test_the_standard_chain_matches_scipy_and_scikit_learn(spectra):
    train, test = spectra[:30].astype(np.float32), spectra[30:].astype(np.float32)
    steps = [SavitzkyGolay(11, 3, 1), SNV(), Standardise()]
    found_train, found_test = train, test
    for step in steps:
        found_train, found_test = step.fit_transform(found_train), step.transform(found_test)

    def expected(X):
        smooth = savgol_filter(X.astype(np.float64), 11, 3, deriv=1, axis=1)
        return (smooth - smooth.mean(axis=1, keepdims=True)) / smooth.std(axis=1, ddof=0, keepdims=True)

    scaler = StandardScaler().fit(expected(train))
    np.testing.assert_allclose(found_train, scaler.transform(expected(train)), atol=1e-9, rtol=0)
    np.testing.assert_allclose(found_test, scaler.transform(expected(test)), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 10}, "odd number of points, found 10"),
        ({"window": 3, "order": 3}, "more points than the order 3, found 3"),
        ({"window": 201}, "is 201 points, longer than the spectra of 151 points"),
        ({"derivative": 4}, "above the order 3"),
        ({"window": 11.5}, "found 11.5"),
        ({"spacing": "nm"}, "`points` or `axis`, found 'nm'"),
    ],
)
def test_wrong_windows_are_refused(spectra, params, message):
    with pytest.raises(ConfigError, match=message):
        SavitzkyGolay(**params).fit(spectra)


def test_norms_match_their_definitions(spectra):
    np.testing.assert_allclose(VectorNorm().fit_transform(spectra), normalize(spectra), atol=1e-12)
    area = AreaNorm(axis=AXIS).fit_transform(spectra - 1.5)
    np.testing.assert_allclose(np.trapezoid(np.abs(area), AXIS, axis=1), 1, atol=1e-12)
    points = AreaNorm().fit_transform(spectra)
    np.testing.assert_allclose(np.trapezoid(points, axis=1), 1, atol=1e-12)
    stretched = MinMaxNorm().fit_transform(spectra)
    assert np.all(stretched.min(axis=1) == 0)
    assert np.all(stretched.max(axis=1) == 1)


def test_vector_norm_survives_values_whose_squares_overflow(spectra):
    np.testing.assert_allclose(VectorNorm().fit_transform(spectra * 1e200), normalize(spectra), atol=1e-12)


@pytest.mark.parametrize("step", [SNV(), VectorNorm(), AreaNorm(), MinMaxNorm(), MSC()], ids=repr)
def test_constant_spectra_are_refused_by_row(step, spectra):
    step.fit(spectra)
    broken = spectra.copy()
    broken[3], broken[7] = 0.1, 0
    with pytest.raises(SpectrumError, match="rows 3, 7 are constant"):
        step.transform(broken)
    with pytest.raises(SpectrumError, match="row 0 is constant"):
        step.transform(broken[3:4])


def test_many_refused_rows_are_counted(spectra):
    with pytest.raises(SpectrumError, match="rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 30 more are constant"):
        SNV().fit(spectra).transform(np.ones_like(spectra))


def test_msc_regresses_each_row_on_the_mean_training_spectrum(spectra):
    train, test = spectra[:20], spectra[20:]
    found = MSC().fit(train).transform(test)
    for row, corrected in zip(test, found, strict=True):
        slope, offset = np.polyfit(train.mean(axis=0), row, 1)
        np.testing.assert_allclose(corrected, (row - offset) / slope, atol=1e-9)


def test_msc_takes_out_offset_and_scale(spectra):
    step = MSC().fit(spectra[:20])
    np.testing.assert_allclose(step.transform(3 * spectra[20:] + 5), step.transform(spectra[20:]), atol=1e-9)


def test_msc_refuses_what_has_no_reference(spectra):
    with pytest.raises(SpectrumError, match="mean training spectrum is constant"):
        MSC().fit(np.vstack([AXIS, -AXIS]))
    odd = np.tile([1.0, -1.0], (1, 2))
    with pytest.raises(SpectrumError, match="row 0 has nothing of the reference"):
        MSC().fit([[1.0, 1.0, 2.0, 2.0]]).transform(odd)


def test_standardise_matches_scikit_learn_and_only_centres_constant_columns(spectra):
    spectra[:, 5] = 0.1
    found = Standardise().fit(spectra[:30])
    expected = StandardScaler().fit(spectra[:30])
    np.testing.assert_allclose(found.transform(spectra), expected.transform(spectra), atol=1e-9)
    assert found.scale_[5] == 1


@pytest.mark.parametrize("whiten", [False, True])
def test_pca_matches_scikit_learn(spectra, whiten):
    found = PCA(5, whiten=whiten).fit(spectra[:30]).transform(spectra[30:])
    expected = decomposition.PCA(5, svd_solver="full", whiten=whiten).fit(spectra[:30]).transform(spectra[30:])
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_pca_says_how_many_components_there_can_be(spectra):
    with pytest.raises(ConfigError, match="maximum is 40"):
        PCA(41).fit(spectra)
    with pytest.raises(ConfigError, match="expected at most 151"):
        PCA(152).fit(spectra)


def test_select_best_matches_scikit_learn_on_labelled_rows(spectra):
    y = np.repeat([0, 1, 2, -1], 10)
    found = SelectBest(k=20).fit(spectra, y)
    expected = SelectKBest(f_classif, k=20).fit(spectra[:30], y[:30])
    assert np.array_equal(found.selected_, expected.get_support(indices=True))
    assert np.array_equal(found.transform(spectra), expected.transform(spectra))


def test_select_best_refuses_what_it_cannot_select_by(spectra):
    with pytest.raises(SpectrumError, match="requires y"):
        SelectBest(k=2).fit(spectra)
    with pytest.raises(SpectrumError, match="fewer than two classes"):
        SelectBest(k=2).fit(spectra, np.zeros(40, int))
    with pytest.raises(SpectrumError, match=r"labels of shape \(40,\), found \(3,\)"):
        SelectBest(k=2).fit(spectra, [0, 1, 1])
    with pytest.raises(ConfigError, match="at most 151"):
        SelectBest(k=152).fit(spectra, np.arange(40) % 2)


def test_negative_intensities_become_zero():
    assert ClipNegative().fit_transform([[-1.0, 0.0, 2.0]]).tolist() == [[0.0, 0.0, 2.0]]


@pytest.mark.parametrize("place", [[0], [40], [75], [40, 41], [90, 91, 92], [20, 110], [150]])
def test_cosmic_rays_are_replaced_by_their_neighbours(place):
    rng = np.random.default_rng(1)
    clean = bands(6, rng, noise=0.005)
    spiked = clean.copy()
    spiked[:, place] += np.linspace(1.5, 2, len(place))
    found = Despike().fit_transform(spiked)
    assert np.abs(found[:, place] - clean[:, place]).max() < 0.3
    sound = np.setdiff1d(np.arange(len(AXIS)), place)
    assert np.array_equal(found[:, sound], clean[:, sound])


@pytest.mark.parametrize("width", [1.5, 2, 4, 10])
def test_a_genuine_band_is_no_cosmic_ray(width):
    points = np.arange(300)
    band = 50 * np.exp(-(((points - 150.3) / width) ** 2) / 2) + np.random.default_rng(2).normal(0, 0.02, 300)
    assert np.array_equal(Despike().fit_transform(band[None])[0], band)


def test_a_flat_spectrum_with_a_single_ray_is_mended():
    flat = np.ones((1, 50))
    flat[0, 20] = 9
    assert np.array_equal(Despike().fit_transform(flat), np.ones((1, 50)))
    assert np.array_equal(Despike().fit_transform(np.ones((1, 50))), np.ones((1, 50)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_row(spectra, value):
    step = SNV().fit(spectra)
    spectra[4, 2] = value
    with pytest.raises(SpectrumError, match="row 4 has NaN or infinite"):
        step.transform(spectra)
    with pytest.raises(SpectrumError, match="row 4 has NaN or infinite"):
        SNV().fit(spectra)


def test_what_is_no_array_of_spectra_is_refused(spectra):
    with pytest.raises(SpectrumError, match=r"shape \(151,\)"):
        SNV().fit(spectra[0])
    with pytest.raises(SpectrumError, match="array of numbers"):
        SNV().fit([["a", "b"]])
    with pytest.raises(SpectrumError, match="Complex data not supported"):
        SNV().fit(spectra * 1j)
    with pytest.raises(SpectrumError, match="X has 150 features, but SNV is expecting 151"):
        SNV().fit(spectra).transform(spectra[:, 1:])
    with pytest.raises(SpectrumError, match="1 feature"):
        SNV().fit(spectra[:, :1])
    with pytest.raises(SpectrumError, match="0 sample"):
        SNV().fit(spectra[:0])


def test_an_unknown_parameter_cannot_be_set():
    with pytest.raises(ConfigError, match="has no parameter 'windw'; it has: window"):
        SavitzkyGolay().set_params(windw=3)
