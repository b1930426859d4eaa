"""Fusions: against plain writings of what was published, and what every one of them promises."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from polydx.errors import ConfigError
from polydx.models.bags import Bags
from polydx.models.fusion import FUSIONS, build_fusion
from polydx.models.necks import build_neck
from polydx.models.network import build_network
from polydx.models.pooling import POOLS, AttentionPool
from polydx.models.tokens import TokenLayer

WIDTHS = {"ultrasound": 6, "ct": 6, "clinical": 3}
OPTIONS = {"attention": {"width": 8, "heads": 2}, "gated": {"width": 8}}
PATTERNS = [p for p in product((True, False), repeat=3) if any(p)]


@pytest.fixture(params=list(FUSIONS))
def fusion(request):
    torch.manual_seed(0)
    return build_fusion(request.param, WIDTHS, **OPTIONS.get(request.param, {}))


def vectors(count=7, seed=0, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(count, w, generator=generator, requires_grad=requires_grad) for n, w in WIDTHS.items()}


def every_pattern():
    """Seven samples, one for each way to have one, two or three modalities."""
    return {name: torch.tensor([p[i] for p in PATTERNS]) for i, name in enumerate(WIDTHS)}


def test_what_stands_for_a_missing_modality_has_no_influence(fusion):
    present = every_pattern()
    for mode in (fusion.train, fusion.eval):
        mode()
        torch.manual_seed(1)
        state = {k: v.clone() for k, v in fusion.state_dict().items()}
        clean = fusion({n: torch.where(present[n].unsqueeze(1), x, 0.0) for n, x in vectors().items()}, present)
        after = {k: v.clone() for k, v in fusion.state_dict().items()}
        fusion.load_state_dict(state)
        torch.manual_seed(1)
        garbage = {n: torch.where(present[n].unsqueeze(1), x, torch.nan) for n, x in vectors().items()}
        assert torch.equal(fusion(garbage, present), clean)
        assert torch.isfinite(clean).all()
        assert all(torch.equal(v, after[k]) for k, v in fusion.state_dict().items())


def test_gradients_reach_what_is_there_and_nothing_else(fusion):
    present, x = every_pattern(), vectors(requires_grad=True)
    fusion.eval()
    fusion(x, present).square().sum().backward()
    for name, own in x.items():
        reached = own.grad.abs().sum(dim=1) > 0
        assert torch.equal(reached, present[name])
    assert all(torch.isfinite(p.grad).all() for p in fusion.parameters() if p.grad is not None)


def test_a_sample_is_fused_alike_alone_and_among_others(fusion):
    fusion.eval()
    present, x = every_pattern(), vectors()
    together = fusion(x, present)
    assert together.shape == (7, fusion.out_width)
    for i in range(7):
        alone = fusion({n: v[i : i + 1] for n, v in x.items()}, {n: p[i : i + 1] for n, p in present.items()})
        torch.testing.assert_close(alone[0], together[i])


def test_shares_sum_to_one_over_what_is_there(fusion):
    present = every_pattern()
    shares = fusion.eval().shares(vectors(), present)
    if isinstance(fusion, FUSIONS["concat"]):
        assert shares is None
        return
    there = torch.stack(list(present.values()), dim=1)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(7))
    assert (shares[~there] == 0).all()
    assert (shares >= 0).all()


def test_every_fusion_and_missing_pattern_trains_without_nan():
    for name in FUSIONS:
        network = build_network(
            {"a": (1, 20), "b": (1, 20), "c": (1, 20)},
            backbones={m: {"name": "mlp", "hidden": [4], "batch_norm": True} for m in "abc"},
            heads={"task": {"classes": 2, "hidden": [4]}},
            fusion={"name": name, **OPTIONS.get(name, {})},
            seed=0,
        )
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
        for pattern in PATTERNS:
            counts = torch.tensor([[1 + (i % 2) if has else 0 for has in pattern] for i in range(3)])
            starts = [torch.cat([torch.zeros(1, dtype=torch.int64), c.cumsum(0)]) for c in counts.T]
            inputs = {m: Bags(torch.randn(int(s[-1]), 1, 20), s) for m, s in zip("abc", starts, strict=True)}
            optimiser.zero_grad()
            network(inputs)["task"].square().sum().backward()
            for m, has in zip("abc", pattern, strict=True):
                grads = [p.grad for p in network.backbone(m).parameters()]
                assert all(g is not None for g in grads) == has
            optimiser.step()
        assert all(torch.isfinite(p).all() for p in network.parameters())


def test_one_row_of_a_modality_in_a_batch_leaves_its_batch_norm_alone():
    network = build_network(
        {"a": (1, 20), "b": (1, 20)},
        backbones={"a": {"name": "mlp", "hidden": [4], "batch_norm": True}, "b": {"name": "mlp", "hidden": [4]}},
        heads={"task": {"classes": 2}},
        seed=0,
    ).train()
    before = network.backbones["a"].stage1.bn.running_mean.clone()
    network({"a": Bags(torch.randn(1, 1, 20), torch.tensor([0, 1, 1])), "b": torch.randn(2, 1, 20)})
    assert torch.equal(network.backbones["a"].stage1.bn.running_mean, before)
    assert network.backbones["a"].stage1.bn.training


def attention_of_one_token(x, query, key, value):
    """Self-attention as it is usually written, over the one token of each sample."""
    token = x.unsqueeze(1)
    scores = query(token) @ key(token).transpose(1, 2) / x.shape[1] ** 0.5
    return (torch.softmax(scores, dim=2) @ value(token)).squeeze(1)


def published(x, layer):
    """With queries and keys of any kind: they change nothing."""
    width = x.shape[1]
    return attention_of_one_token(x, nn.Linear(width, width), nn.Linear(width, width), layer.value)


def all_there(x):
    return {name: torch.ones(len(v), dtype=torch.bool) for name, v in x.items()}


def with_random_weights(fusion):
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            if parameter.ndim == 0 or name.endswith("weights"):
                parameter.normal_()
    return fusion.eval()


def test_dsaf_of_two_modalities_is_the_published_block():
    torch.manual_seed(0)
    fusion = with_random_weights(build_fusion("dsaf", {"ultrasound": 6, "ct": 6}))
    x, y = torch.randn(4, 6), torch.randn(4, 6)
    pair = fusion.pair
    x1 = published(x, pair.attend) + pair.second * y
    y1 = published(y, pair.attend) + pair.first * x
    expected = published(torch.cat([x1, y1], dim=1), pair.together)
    found = fusion({"ultrasound": x, "ct": y}, all_there({"ultrasound": x, "ct": y}))
    torch.testing.assert_close(found, expected)


def test_dsaf_of_three_modalities_is_the_published_block():
    torch.manual_seed(0)
    fusion = with_random_weights(build_fusion("dsaf", WIDTHS))
    x, y, c = vectors(4).values()
    pair, side, whole = fusion.pair, fusion.sides[0], fusion.wholes[0]
    x1 = published(x, pair.attend) + pair.second * y
    y1 = published(y, pair.attend) + pair.first * x
    images = published(torch.cat([x1, y1], dim=1), pair.together)
    beside = torch.cat(
        [side.weights[0] * published(c, side.attend[0]), side.weights[1] * published(x, side.attend[1])], dim=1
    )
    beside = published(beside, side.together)
    parts = [
        whole.weights[0] * published(beside, whole.attend[0]),
        whole.weights[1] * published(images, whole.attend[1]),
    ]
    expected = published(torch.cat(parts, dim=1), whole.together)
    torch.testing.assert_close(fusion(vectors(4), all_there(vectors(4))), expected)


def test_dsaf_has_the_published_widths():
    assert build_fusion("dsaf", {"ultrasound": 2048, "ct": 2048}).out_width == 4096
    with torch.device("meta"):
        fusion = build_fusion("dsaf", {"ultrasound": 2048, "ct": 2048, "clinical": 4})
    assert (fusion.sides[0].out_width, fusion.out_width) == (2052, 6148)


def test_dsaf_takes_more_modalities_and_other_widths():
    widths = {"a": 4, "b": 5, "c": 3, "d": 2}
    fusion = build_fusion("dsaf", widths)
    x = {name: torch.randn(2, width) for name, width in widths.items()}
    assert fusion(x, all_there(x)).shape == (2, fusion.out_width)
    assert fusion.out_width == 8 + (3 + 4) + (2 + 4)


def test_the_weights_of_dsaf_are_registered_learned_and_stored():
    fusion = build_fusion("dsaf", WIDTHS)
    names = {"pair.first", "pair.second", "sides.0.weights", "wholes.0.weights"}
    assert names <= set(dict(fusion.named_parameters()))
    assert names <= set(fusion.state_dict())
    before = {n: fusion.get_parameter(n).detach().clone() for n in names}
    optimiser = torch.optim.Adam(fusion.parameters(), lr=0.1)
    fusion(vectors(), every_pattern()).square().sum().backward()
    assert all((fusion.get_parameter(n).grad.abs() > 0).all() for n in names)
    optimiser.step()
    assert all((fusion.get_parameter(n) != before[n]).all() for n in names)


def test_the_gate_is_the_sum_over_what_is_there():
    torch.manual_seed(0)
    fusion = build_fusion("gated", WIDTHS, width=4).eval()
    x, present = vectors(), every_pattern()
    found = fusion(x, present)
    for i, pattern in enumerate(PATTERNS):
        hidden = [
            torch.tanh(fusion.project[n](x[n][i])) if has else torch.zeros(4)
            for n, has in zip(WIDTHS, pattern, strict=True)
        ]
        told = torch.cat([torch.cat([h, torch.tensor([float(has)])]) for h, has in zip(hidden, pattern, strict=True)])
        scores = fusion.gate(told).reshape(3, 4)
        there = [m for m, has in enumerate(pattern) if has]
        weights = torch.softmax(scores[there], dim=0)
        expected = sum(weights[j] * hidden[m] for j, m in enumerate(there))
        torch.testing.assert_close(found[i], expected)


def test_the_mean_of_the_training_rows_stands_for_a_missing_one():
    fusion = build_fusion("concat", {"a": 2, "b": 3}).train()
    x, seen = {"a": torch.randn(12, 2), "b": torch.randn(12, 3)}, torch.arange(12) % 3 > 0
    for rows in (slice(0, 6), slice(6, 12)):
        present = {"a": torch.ones(6, dtype=torch.bool), "b": seen[rows]}
        fusion({name: v[rows] for name, v in x.items()}, present)
    gone = fusion.eval()(x, {"a": torch.ones(12, dtype=torch.bool), "b": torch.zeros(12, dtype=torch.bool)})
    torch.testing.assert_close(gone[0, 2:], x["b"][seen].mean(dim=0))
    torch.testing.assert_close(gone[:, :2], x["a"])


def test_a_learned_vector_stands_for_a_missing_one():
    fusion = build_fusion("concat", {"a": 2, "b": 3}, missing="learned")
    x, present = {"a": torch.randn(2, 2), "b": torch.randn(2, 3)}, {"a": torch.tensor([True, False])}
    fusion(x, {**present, "b": torch.tensor([True, True])}).sum().backward()
    assert torch.equal(fusion.fill["a"].learned.grad, torch.ones(2))
    assert torch.equal(fusion.fill["b"].learned.grad, torch.zeros(3))


def test_regions_are_tokens_of_their_own():
    def built(regions):
        return build_network(
            {"raman": (1, 40), "image": (3, 64, 64)},
            backbones={
                "raman": {"name": "cnn", "width": 4, "multipliers": [1, 1]},
                "image": {"name": "cnn", "width": 4, "multipliers": [1, 1]},
            },
            heads={"task": {"classes": 2}},
            fusion={"name": "attention", "width": 8, "heads": 2, "regions": regions},
            seed=0,
        ).eval()

    network = built(True)
    inputs = {"raman": torch.randn(3, 1, 40), "image": torch.randn(3, 3, 64, 64)}
    pooled, present = network.pooled(inputs)
    assert pooled["image"].shape == (3, 1 + network.backbone("image")(inputs["image"]).flatten(2).shape[2], 4)
    shares = network.fusion.shares(pooled, present)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
    alone = network({"raman": inputs["raman"]})["task"]
    assert torch.isfinite(alone).all()
    bags = Bags(torch.cat([inputs["image"]] * 2)[torch.tensor([0, 3, 1, 4, 2, 5])], torch.tensor([0, 2, 4, 6]))
    torch.testing.assert_close(network(inputs)["task"], network({**inputs, "image": bags})["task"])


def test_a_token_layer_computes_what_torch_computes():
    torch.manual_seed(0)
    ours, theirs = (
        TokenLayer(8, 2, 0.0).eval(),
        nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True),
    )
    names = {"norm1": "norm1", "norm2": "norm2", "linear1": "up", "linear2": "down", "self_attn.out_proj": "project"}
    state = {
        f"{own}.{p}": theirs.get_parameter(f"{their}.{p}") for their, own in names.items() for p in ("weight", "bias")
    }
    state |= {f"qkv.{p}": theirs.get_parameter(f"self_attn.in_proj_{p}") for p in ("weight", "bias")}
    ours.load_state_dict(state)
    x, present = torch.randn(3, 5, 8), torch.rand(3, 5) > 0.3
    present[:, 0] = True
    expected = theirs.train()(x, src_key_padding_mask=~present)
    torch.testing.assert_close(ours(x, present), expected)


def test_bags_are_pooled_sample_by_sample():
    torch.manual_seed(0)
    x, owner = torch.randn(6, 4), torch.tensor([0, 0, 0, 2, 2, 3])
    mean = POOLS["mean"](4)(x, owner, 5)
    torch.testing.assert_close(mean[0], x[:3].mean(dim=0))
    assert torch.equal(mean[1], torch.zeros(4))
    pool = AttentionPool(4, hidden=3)
    found = pool(x, owner, 5)
    for sample, rows in {0: slice(0, 3), 2: slice(3, 5), 3: slice(5, 6)}.items():
        scores = pool.score(torch.tanh(pool.value(x[rows])) * torch.sigmoid(pool.gate(x[rows])))
        torch.testing.assert_close(found[sample], (torch.softmax(scores, dim=0) * x[rows]).sum(dim=0))
    assert torch.equal(found[1], torch.zeros(4))


def test_bags_are_indexed_like_a_tensor_of_samples():
    bags = Bags(torch.arange(6.0).reshape(6, 1), torch.tensor([0, 2, 2, 5, 6]))
    assert bags[torch.tensor([3, 0, 0])].rows.flatten().tolist() == [5, 0, 1, 0, 1]
    assert bags[1:3].starts.tolist() == [0, 0, 3]
    assert bags[torch.tensor([False, False, False, True])].rows.flatten().tolist() == [5]
    kept = bags.only(torch.tensor([True, True, False, True]))
    assert (kept.rows.flatten().tolist(), kept.counts.tolist()) == ([0, 1, 5], [2, 0, 0, 1])
    assert bags.owner.tolist() == [0, 0, 2, 2, 2, 3]


def test_the_second_stage_of_a_pretrained_backbone_is_a_linear_map_of_its_mean():
    torch.manual_seed(0)
    neck = build_neck("self_attention", (6, 3, 3))
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(neck(x), published(x.mean(dim=(2, 3)), neck.attend))
    assert not list(neck.plain().parameters())


@pytest.mark.parametrize(
    ("name", "widths", "options", "message"),
    [
        ("sum", WIDTHS, {}, "unknown fusion 'sum'"),
        ("dsaf", {"a": 3}, {}, "the fusion 'dsaf' joins several modalities, but there is one"),
        ("concat", {"a": 3}, {"missing": "learned"}, "the fusion 'concat' joins several modalities"),
        ("gated", WIDTHS, {"depth": 3}, "unknown option of fusion 'gated' 'depth'"),
    ],
)
def test_fusions_that_cannot_be_are_refused(name, widths, options, message):
    with pytest.raises(ConfigError, match=message):
        build_fusion(name, widths, **options)
