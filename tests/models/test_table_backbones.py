"""Backbones for tables: against a plain writing of the feature-tokenising transformer."""

import pytest
import torch

from polydx.errors import ConfigError
from polydx.models.backbones import TABLE_BACKBONES, build_backbone
from polydx.models.network import build_network

FIELDS = [(0, 2), (2, 5), (5, 6)]
"""A number with its flag for missing, a category of three, an ordinal."""


def normalised(x, norm):
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def attended(tokens, layer, heads):
    """Multi-head attention token by token and head by head."""
    width = tokens.shape[1] // heads
    parts = tokens @ layer.qkv.weight.T + layer.qkv.bias
    query, key, value = parts.split(tokens.shape[1], dim=1)
    found = torch.zeros_like(tokens)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for i in range(len(tokens)):
            scores = torch.stack([query[i, own] @ key[j, own] for j in range(len(tokens))]) / width**0.5
            found[i, own] = sum(w * value[j, own] for j, w in enumerate(torch.softmax(scores, dim=0)))
    return found @ layer.project.weight.T + layer.project.bias


def plain_ft_transformer(x, network, heads):
    """One sample (D,) through the equations of Gorishniy et al. (2021), section 3.3."""
    stem = network.stem
    tokens = [stem.class_token]
    for number, (start, stop) in enumerate(FIELDS):
        tokens.append(stem.bias[number] + sum(x[i] * stem.weight[i] for i in range(start, stop)))
    tokens = torch.stack(tokens)
    for number in (1, 2):
        layer = network.get_submodule(f"stage{number}").encoder.layer
        before = tokens if number == 1 else torch.stack([normalised(t, layer.norm1) for t in tokens])
        tokens = tokens + attended(before, layer, heads)
        for i, token in enumerate(tokens.clone()):
            up = layer.up.weight @ normalised(token, layer.norm2) + layer.up.bias
            half = len(up) // 2
            tokens[i] = token + layer.down.weight @ (up[:half] * up[half:].clamp(min=0)) + layer.down.bias
    return normalised(tokens[0], network.stage2.readout.norm).clamp(min=0)


def test_the_ft_transformer_is_the_published_one():
    torch.manual_seed(0)
    network = build_backbone("ft_transformer", 0, 6, width=12, layers=2, heads=3, fields=FIELDS).eval()
    x = torch.randn(4, 6)
    found = network(x)
    assert found.shape == (4, 12, 1)
    with torch.no_grad():
        expected = torch.stack([plain_ft_transformer(row, network, 3) for row in x])
    torch.testing.assert_close(found[:, :, 0], expected)


@pytest.mark.parametrize("name", TABLE_BACKBONES)
def test_a_table_is_one_modality_of_a_network(name):
    network = build_network(
        {"clinical": (6,), "raman": (1, 30)},
        backbones={"clinical": {"name": name}, "raman": {"name": "cnn", "width": 4}},
        heads={"task": {"classes": 2}},
        fields={"clinical": FIELDS},
        seed=0,
    ).eval()
    inputs = {"clinical": torch.randn(3, 6), "raman": torch.randn(3, 1, 30)}
    assert network(inputs)["task"].shape == (3, 2)
    backbone = network.backbone("clinical")
    for stage in backbone.stages:
        cut = network.features(inputs, f"clinical.{stage}")
        torch.testing.assert_close(backbone.resume(cut, stage), backbone(inputs["clinical"]))


def test_all_values_have_a_gradient():
    network = build_backbone("ft_transformer", 0, 6, width=8, heads=2, fields=FIELDS).train()
    network(torch.randn(4, 6)).square().sum().backward()
    assert all((p.grad.abs() > 0).any() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "needs a layer and a width, but got layers=0"),
        ({"width": 10}, "a multiple of `heads`, but got 10 and 4"),
        ({"fields": [(0, 2)]}, "the fields of the table name 2 columns, but the input has 6"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone("ft_transformer", 0, 6, **options)


def test_a_backbone_says_what_it_takes():
    with pytest.raises(ConfigError, match=r"takes input of shape \(B, 6\), but got \(2, 1, 6\)"):
        build_backbone("mlp", 0, 6)(torch.randn(2, 1, 6))
    with pytest.raises(ConfigError, match="tables \\(0\\), spectra \\(1\\) or images \\(2\\), but got dims=3"):
        build_backbone("mlp", 3, 6)
