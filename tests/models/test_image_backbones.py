"""What only some backbones have: a squeeze-and-excitation block behind the last stage, tokens and their positions."""

import pytest
import torch
from monai.networks.blocks import ChannelSELayer

from polydx.models.backbones import build_backbone
from polydx.models.backbones.squeeze import SqueezeExcitation

TINY = {
    "resnet": {"depth": 10, "width": 0.25},
    "densenet": {"layers": [1, 1], "growth": 8, "width": 16},
    "vgg": {"depth": 11, "width": 0.1},
}
VIT = {"width": 16, "layers": 2, "heads": 2, "patch": 8, "points": 32}


@pytest.mark.parametrize("dims", [1, 2])
def test_a_squeeze_is_that_of_monai(dims):
    own, reference = SqueezeExcitation(32, 8), ChannelSELayer(dims, 32, r=8)
    reference.fc[0].load_state_dict(own.reduce.state_dict())
    reference.fc[2].load_state_dict(own.expand.state_dict())
    x = torch.randn(3, 32, *(7, 5)[:dims])
    torch.testing.assert_close(own(x), reference(x))


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("dims", [1, 2])
def test_a_squeeze_is_a_last_stage_that_can_be_cut_frozen_and_resumed(name, dims):
    backbone = build_backbone(name, dims, 1, **TINY[name], squeeze=16).eval()
    assert backbone.stages[-1] == "squeeze"
    x = torch.randn(2, 1, *(64,) * dims)
    before = backbone.features(x, backbone.stages[-2])
    after = backbone(x)
    assert after.shape == before.shape
    assert backbone.out_width == before.shape[1]
    torch.testing.assert_close(backbone.resume(before, backbone.stages[-2]), after)
    gates = (after.flatten(2).sum(2) / before.flatten(2).sum(2)).nan_to_num(0.5)  # channels that are silent have none
    assert ((gates > 0) & (gates < 1)).all()


def test_networks_without_a_squeeze_have_none():
    assert "squeeze" not in build_backbone("resnet", 2, 3, **TINY["resnet"]).stages


def test_the_class_token_or_the_patches_leave_a_vit():
    with_class = build_backbone("vit", 2, 1, **VIT).eval()
    with_patches = build_backbone("vit", 2, 1, **VIT, output="patches").eval()
    with_patches.load_state_dict(with_class.state_dict())
    x = torch.randn(2, 1, 32, 32)
    assert with_class.map_shape((1, 32, 32)) == (16, 1)
    assert with_patches.map_shape((1, 32, 48)) == (16, 4 * 6)
    tokens = with_class.stage2.readout.norm(
        with_class.stage2.encoder(with_class.features(x, "stage1")).transpose(1, 2)
    ).transpose(1, 2)
    torch.testing.assert_close(with_class(x), tokens[:, :, :1])
    torch.testing.assert_close(with_patches(x), tokens[:, :, 1:])


def test_positions_follow_the_input_to_another_size():
    backbone = build_backbone("vit", 2, 1, **VIT)
    with torch.no_grad():
        rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        backbone.stem.positions[0, 1:, 0], backbone.stem.positions[0, 1:, 1] = rows.flatten(), columns.flatten()
    found = backbone.stem.positions_on((8, 4))[0, :2, 1:].reshape(2, 8, 4)
    # Twice as many rows, so steps of half a row; the cubic overshoots by a few hundredths near the edges.
    torch.testing.assert_close(found[0, 3:5, 0], torch.tensor([1.25, 1.75]), atol=0.06, rtol=0)
    torch.testing.assert_close(found[1], torch.arange(4.0).expand(8, 4))
    torch.testing.assert_close(backbone.stem.positions_on((4, 4)), backbone.stem.positions.transpose(1, 2))
    assert torch.equal(backbone.stem.positions_on((8, 4))[0, :, 0], backbone.stem.positions[0, 0])


def test_a_vit_tells_the_order_of_its_patches():
    backbone = build_backbone("vit", 2, 1, **VIT).eval()
    x = torch.randn(1, 1, 32, 32)
    swapped = torch.cat([x[..., 16:], x[..., :16]], dim=3)
    assert (backbone(x) - backbone(swapped)).abs().max() > 1e-3


def test_blocks_of_an_efficientnet_are_left_out_in_training_alone():
    backbone = build_backbone("efficientnet", 2, 1, width=0.25, drop_path=0.9)
    x = torch.randn(4, 1, 32, 32)
    backbone.eval()
    assert torch.equal(backbone(x), backbone(x))
    last = backbone.stage6[-1].train()
    rows = torch.randn(64, last.in_channels, 2, 2)
    kept = ((last(rows) - rows).flatten(1).abs().sum(1) > 0).float().mean()
    # 15 of 16 blocks come before the last one: 0.9 * 14 / 16 of the rows pass this one unchanged.
    assert float(kept) == pytest.approx(1 - 0.9 * 14 / 16, abs=0.17)
