from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from polydx.augmentation.base import build_chain
from polydx.augmentation.mixing import mix_within
from polydx.augmentation.spectra import AUGMENTATIONS, sample_at
from polydx.errors import AxisError, ConfigError

AXIS = np.linspace(400.0, 1800.0, 351)
"""4 cm^-1 a point."""


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=6, channels=1, seed=1):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(600, 1600, (count, channels, 1))
    return torch.from_numpy(np.exp(-((AXIS - centres) ** 2) / 2000)).float()


def step(name, **params):
    return SimpleNamespace(name=name, params=params)


def fitted(steps, x, axis=AXIS):
    return build_chain(steps, AUGMENTATIONS).fit(x, axis)


def make(name, x, **params):
    return fitted([step(name, **params)], x)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_augmentation_keeps_the_contract(name, channels):
    x = batch(channels=channels)
    kept = x.clone()
    transform = make(name, x)
    first, again, other = transform(x, generator()), transform(x, generator()), transform(x, generator(1))
    assert first.shape == x.shape
    assert first.dtype == x.dtype
    assert torch.isfinite(first).all()
    assert torch.equal(x, kept)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, x)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_amount_of_zero_changes_nothing(name):
    x = batch()
    torch.testing.assert_close(make(name, x, amount=0.0)(x, generator()), x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_global_stream_is_not_touched(name):
    before = torch.get_rng_state()
    make(name, batch())(batch(), generator())
    assert torch.equal(before, torch.get_rng_state())


def test_offset_adds_one_constant_a_row_within_a_tenth_of_the_training_sd():
    x = batch(200)
    added = make("offset", x)(x, generator()) - x
    constants = added.mean(dim=(1, 2))
    torch.testing.assert_close(added, constants[:, None, None].expand_as(added), atol=1e-6, rtol=0)
    limit = 0.1 * float(x.numpy().std())
    assert constants.abs().max() <= limit * 1.0001
    assert constants.abs().max() > 0.9 * limit
    assert len(set(constants.tolist())) == 200


def test_scale_multiplies_each_row_by_one_number_near_one():
    x = batch(200) + 1.0
    ratio = make("scale", x)(x, generator()) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1].expand_as(ratio))
    assert 0.9 <= float(ratio.min()) < 0.92
    assert 1.08 < float(ratio.max()) <= 1.1


def test_noise_has_at_most_the_asked_standard_deviation():
    x = batch(300)
    sds = (make("noise", x, amount=0.2)(x, generator()) - x).std(dim=2).flatten() / float(x.numpy().std())
    assert float(sds.max()) == pytest.approx(0.2, rel=0.15)
    assert float(sds.mean()) == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize(("name", "degree"), [("slope", 1), ("curvature", 2)])
def test_a_baseline_is_a_polynomial_over_the_axis(name, degree):
    x = batch()
    added = (make(name, x)(x, generator()) - x)[:, 0].double().numpy()
    unit = (AXIS - 1100) / 700
    fitted = np.polynomial.polynomial.polyfit(unit, added.T, degree)
    np.testing.assert_allclose(np.polynomial.polynomial.polyval(unit, fitted), added, atol=1e-6)
    assert (np.abs(fitted[degree]) > 0).all()


def test_interpolation_matches_numpy_with_its_ends_repeated():
    x, where = batch(3, 2), torch.rand(3, 40, generator=generator()) * 1600 + 300
    found = sample_at(x, torch.from_numpy(AXIS).float(), where)
    expected = [[np.interp(where[b].numpy(), AXIS, x[b, c].numpy()) for c in range(2)] for b in range(3)]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_shift_moves_bands_by_wavenumbers_not_points():
    x = batch(100)
    moved = make("shift", x, amount=20.0)(x, generator())
    by = (centres(moved) - centres(x)).abs()
    assert 15.0 < by.max() <= 20.5


def test_stretch_moves_bands_in_proportion_to_their_distance_from_the_middle():
    x = batch(50)
    moved = make("stretch", x, amount=0.01)(x, generator())
    factors = (centres(moved) - 1100) / (centres(x) - 1100)
    far = (centres(x) - 1100).abs() > 100
    assert ((factors[far] - 1).abs() < 0.0105).all()
    assert (factors[far] - 1).abs().max() > 0.005


def centres(x):
    """Return the centre of mass of each row's band, in cm^-1."""
    axis = torch.from_numpy(AXIS)
    return (x[:, 0].double() * axis).sum(dim=1) / x[:, 0].double().sum(dim=1)


def test_smoothing_matches_scipy():
    x = torch.randn(4, 1, len(AXIS), generator=generator())
    found = make("smoothing", x, amount=12.0)(x, generator(2))
    drawn = torch.rand(4, 1, 1, generator=generator(2)).flatten() * 12.0 / 4.0
    for row, sd in enumerate(drawn.tolist()):
        expected = gaussian_filter1d(x[row, 0].double().numpy(), sd, mode="nearest", radius=9)
        np.testing.assert_allclose(found[row, 0].numpy(), expected, atol=1e-4)


def test_a_masked_band_is_a_straight_line_and_the_rest_stays():
    x = torch.randn(20, 1, len(AXIS), generator=generator())
    changed = make("band_mask", x, amount=100.0)(x, generator())
    for row in range(20):
        inside = torch.nonzero(changed[row, 0] != x[row, 0]).flatten()
        assert 23 <= len(inside) <= 26
        band = changed[row, 0, inside[0] : inside[-1] + 1].double()
        torch.testing.assert_close(
            band.diff().diff(), torch.zeros(len(band) - 2, dtype=torch.float64), atol=1e-4, rtol=0
        )


def test_a_cosmic_ray_is_one_point_that_rises():
    x = batch(50)
    added = make("cosmic", x)(x, generator()) - x
    assert ((added > 0).sum(dim=2) <= 1).all()
    assert (added >= 0).all()
    assert float(added.max()) <= 5.0 * float(x.numpy().std()) * 1.0001


def test_a_probability_leaves_the_other_rows_as_they_are():
    x = batch(400)
    changed = (make("offset", x, probability=0.25)(x, generator()) != x).any(dim=2).flatten()
    assert 0.18 < float(changed.float().mean()) < 0.32


def test_steps_run_in_their_order():
    x, chain = batch(), fitted([step("offset", amount=0.5), step("scale", amount=0.5)], batch())
    stream = generator()
    expected = chain.steps[1](chain.steps[0](x, stream), stream)
    assert torch.equal(chain(x, generator()), expected)


def test_mixing_stays_within_the_group_and_pairs_the_modalities():
    groups = torch.tensor([0, 1, 0, 1, 2, 0, 1, 0])
    x = torch.eye(8)[:, None, :]
    mixed = mix_within({"a": x, "b": 2 * x}, groups, 0.8, generator())
    torch.testing.assert_close(mixed["b"], 2 * mixed["a"])
    shares = mixed["a"][:, 0]
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(8))
    assert not shares[groups[:, None] != groups[None, :]].any()
    assert torch.equal(shares[4], x[4, 0])
    partners = (shares - torch.diag(shares.diag())).argmax(dim=1)[shares.diag() < 1 - 1e-6]
    assert len(set(partners.tolist())) == len(partners) > 0


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("ofset", {}, "unknown; expected one of offset"),
        ("offset", {"size": 1.0}, "unknown option size; expected amount, probability"),
        ("offset", {"amount": "much"}, "option amount must be a number, but got 'much'"),
        ("offset", {"amount": -1.0}, "must be at least 0, but got -1"),
        ("offset", {"amount": float("nan")}, "must be at least 0, but got nan"),
        ("offset", {"probability": 1.5}, "must be from 0 to 1, but got 1.5"),
    ],
)
def test_impossible_steps_are_refused(name, params, message):
    with pytest.raises(ConfigError, match="the augmentation cannot be built") as caught:
        make(name, batch(), **params)
    assert message in str(caught.value)


def test_every_impossible_step_is_listed():
    with pytest.raises(ConfigError) as caught:
        fitted([step("ofset"), step("noise", amount=-1.0)], batch())
    assert [p.where for p in caught.value.problems] == ["augmentation ofset", "augmentation noise"]


@pytest.mark.parametrize(("axis", "message"), [(AXIS[:-1], "the axis has 350 points"), (AXIS[::-1], "ascends")])
def test_an_axis_that_does_not_fit_is_refused(axis, message):
    with pytest.raises(AxisError, match=message):
        fitted([step("offset")], batch(), axis)


def test_an_augmentation_that_was_not_fitted_is_refused():
    with pytest.raises(ConfigError, match="Offset must be fitted on the training rows"):
        AUGMENTATIONS["offset"]()(batch(), generator())
