import numpy as np
import pytest
import torch
from torch import nn

from polydx.errors import ConfigError
from polydx.models.heads import Head
from polydx.models.necks import build_neck


def test_average_and_max_pool_over_every_position():
    x = torch.randn(3, 4, 5, 6)
    torch.testing.assert_close(build_neck("average", (4, 5, 6))(x), x.mean(dim=(2, 3)))
    torch.testing.assert_close(build_neck("max", (4, 5, 6))(x), x.amax(dim=(2, 3)))


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_the_generalised_mean_follows_its_formula(power):
    x = np.random.default_rng(0).uniform(0.1, 2.0, (2, 3, 7))
    expected = np.mean(x**power, axis=2) ** (1 / power)
    found = build_neck("gem", (3, 7), power=power)(torch.from_numpy(x).float())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_the_generalised_mean_stays_finite_where_nothing_is_active():
    neck = build_neck("gem", (3, 7))
    x = torch.full((2, 3, 7), -1.0, requires_grad=True)
    neck(x).sum().backward()
    assert torch.isfinite(neck(x)).all()
    assert torch.isfinite(neck.power.grad)


def test_attention_pools_with_weights_that_sum_to_one():
    neck, x = build_neck("attention", (4, 9), hidden=5), torch.randn(2, 4, 9)
    weights = neck.weights(x)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    expected = torch.stack([(x[b] * weights[b]).sum(dim=1) for b in range(2)])
    torch.testing.assert_close(neck(x), expected)


def test_attention_over_one_position_is_refused():
    with pytest.raises(ConfigError, match="learns nothing from a map of one position"):
        build_neck("attention", (64, 1))


def test_flatten_keeps_every_value_and_refuses_another_length():
    neck, x = build_neck("flatten", (4, 9)), torch.randn(2, 4, 9)
    assert torch.equal(neck(x), x.reshape(2, 36))
    assert neck.out_width == 36
    with pytest.raises(ConfigError, match=r"built for feature maps of \(4, 9\), but got \(4, 8\)"):
        neck(x[:, :, :8])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("avrage", {}, "Did you mean 'average'"), ("gem", {"p": 2}, "unknown option of neck 'gem' 'p'"),
     ("flatten", {"power": 2}, "unknown option of neck 'flatten'")],
)  # fmt: skip
def test_unknown_necks_and_options_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        build_neck(name, (4, 9), **options)


def test_a_head_has_the_layers_it_is_asked_for():
    head = Head(20, 5, hidden=[8, 6], dropout=0.5, batch_norm=True)
    kinds = [type(m).__name__ for m in head.modules() if not list(m.children())]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]
    assert [tuple(m.weight.shape) for m in head.modules() if isinstance(m, nn.Linear)] == [(8, 20), (6, 8), (5, 6)]
    assert head(torch.randn(3, 20)).shape == (3, 5)


def test_a_head_without_hidden_layers_is_one_linear_layer():
    assert [key for key, _ in Head(4, 2).named_parameters()] == ["layers.out.weight", "layers.out.bias"]


def test_a_head_starts_from_the_normal_distribution_it_is_asked_for():
    head = Head(400, 300, init_sd=0.01)
    assert float(head.layers.out.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert not head.layers.out.bias.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"classes": 0}, "widths of at least 1"), ({"classes": 2, "dropout": 1.0}, "dropout of a head must be from 0")],
)
def test_an_impossible_head_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Head(4, **options)
