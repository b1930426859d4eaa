"""Weights of torchvision: same names, same shapes, same numbers, against a second writing of its architectures."""

import re

import pytest
import torch
from torchvision_networks import (
    BasicBlock,
    Bottleneck,
    DenseNet,
    EfficientNet,
    ResNet,
    Vgg,
    Vit,
    with_own_statistics,
)

from polydx.errors import BundleError
from polydx.models.backbones import build_backbone
from polydx.models.seeding import seeded
from polydx.models.summary import summarise

TINY_VIT = {"width": 24, "layers": 3, "heads": 2, "patch": 8, "points": 32}
CASES = {
    "resnet18": (lambda: ResNet(BasicBlock, (2, 2, 2, 2)), "resnet", {"depth": 18}, 65),
    "resnet50": (lambda: ResNet(Bottleneck, (3, 4, 6, 3)), "resnet", {"depth": 50}, 64),
    "vgg11": (lambda: Vgg((1, 1, 2, 2, 2), False), "vgg", {"depth": 11, "batch_norm": False}, 40),
    "vgg11_bn": (lambda: Vgg((1, 1, 2, 2, 2), True), "vgg", {"depth": 11}, 40),
    "densenet121": (lambda: DenseNet((6, 12, 24, 16)), "densenet", {}, 64),
    "efficientnet_b0": (lambda: EfficientNet(1.0, 1.0, 1e-5), "efficientnet", {}, 64),
    # An odd size, where padding as TensorFlow does would differ once more; and the batch norm of b5 to b7.
    "efficientnet_b1": (lambda: EfficientNet(1.0, 1.1, 1e-5), "efficientnet", {"size": "b1"}, 75),
    "efficientnet_b5": (lambda: EfficientNet(1.6 * 0.25, 2.2, 1e-3), "efficientnet", {"size": "b5", "width": 0.25}, 64),
    "vit": (lambda: Vit(24, 3, 2, 8, 32), "vit", TINY_VIT, 32),
}


def images(channels, size, seed=1):
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(seed))


def theirs(case):
    with seeded(2):
        return CASES[case][0]()


def ours(case, channels=3, **options):
    _, name, own, _ = CASES[case]
    return build_backbone(name, 2, channels, **own, **options).eval()


@pytest.mark.parametrize("case", CASES)
def test_published_weights_load_and_give_the_published_maps(case):
    network = theirs(case)
    state = with_own_statistics(network)
    backbone = ours(case)
    left = backbone.load_published(state)
    assert {key.partition(".")[0] for key in left} <= {"fc", "classifier", "heads"}
    assert len(left) == 2
    x = images(3, CASES[case][3])
    with torch.inference_mode():
        found, expected = backbone(x), network.maps(x)
    assert expected.std() > 0.01
    assert (found - expected).abs().max() < 1e-4 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("case", ["resnet18", "vgg11", "densenet121", "efficientnet_b0", "vit"])
@pytest.mark.slow
def test_a_grey_network_sees_what_a_grey_image_in_three_channels_shows(case):
    network = theirs(case)
    state = with_own_statistics(network)
    backbone = ours(case, channels=1)
    first = {"vgg11": "features.0.weight", "densenet121": "features.conv0.weight", "vit": "conv_proj.weight"}
    first |= {"resnet18": "conv1.weight", "efficientnet_b0": "features.0.0.weight"}
    assert backbone.colours_summed(state) == (first[case],)
    assert ours(case).colours_summed(state) == ()
    backbone.load_published(state)
    grey = images(1, CASES[case][3])
    with torch.inference_mode():
        found, expected = backbone(grey), network.maps(grey.expand(-1, 3, -1, -1))
    assert (found - expected).abs().max() < 1e-4 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize(
    ("case", "pattern", "older"),
    [
        # torchvision's files of DenseNet and ViT still have these names, and it renames them when it loads.
        ("densenet121", r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2."),
        ("vit", r"\.mlp\.([03])\.", lambda m: f".mlp.linear_{1 if m[1] == '0' else 2}."),
    ],
)
@pytest.mark.slow
def test_older_names_load_as_well(case, pattern, older):
    state = with_own_statistics(theirs(case))
    old = {re.sub(pattern, older, key): value for key, value in state.items()}
    assert old.keys() != state.keys()
    backbone, reference = ours(case), ours(case)
    backbone.load_published(old)
    reference.load_published(state)
    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), reference.parameters(), strict=True))


@pytest.mark.parametrize("case", ["resnet18", "vgg11_bn", "densenet121"])
@pytest.mark.slow
def test_weights_of_the_plain_network_load_behind_which_a_squeeze_stays_new(case):
    state = with_own_statistics(theirs(case))
    plain, squeezed = ours(case), ours(case, squeeze=16)
    plain.load_published(state)
    before = squeezed.squeeze.expand.weight.clone()
    squeezed.load_published(state)
    assert torch.equal(squeezed.squeeze.expand.weight, before)
    assert squeezed.unpublished == ("squeeze",)
    x = images(3, CASES[case][3])
    torch.testing.assert_close(squeezed.features(x, plain.stages[-1]), plain(x))
    assert plain.state_dict().keys() == {k for k in squeezed.state_dict() if not k.startswith("squeeze.")}


def test_another_depth_is_refused_with_what_differs():
    with pytest.raises(BundleError, match="do not fit this backbone: another architecture or input") as caught:
        ours("resnet50").load_published(theirs("resnet18").state_dict())
    told = {p.where: p.what for p in caught.value.problems}
    assert told["layer1.0.conv3.weight"] == "missing from the file"
    assert told["layer1.0.conv1.weight"] == "expected shape (64, 64, 1, 1), found (64, 64, 3, 3)"


def test_positions_learned_for_another_size_are_refused():
    with pytest.raises(BundleError) as caught:
        build_backbone("vit", 2, 3, **TINY_VIT | {"points": 48}).load_published(theirs("vit").state_dict())
    assert [(p.where, p.what) for p in caught.value.problems] == [
        ("encoder.pos_embedding", "expected shape (1, 37, 24), found (1, 17, 24)")
    ]


@pytest.mark.parametrize(
    ("name", "options", "parameters", "classifier", "giga"),
    [
        # As torchvision documents them: parameters with the classifier, and multiply-adds at 224 in 10^9.
        ("resnet", {"depth": 18}, 11_689_512, 513_000, 1.814),
        ("resnet", {"depth": 34}, 21_797_672, 513_000, 3.664),
        ("resnet", {"depth": 50}, 25_557_032, 2_049_000, 4.089),
        ("resnet", {"depth": 101}, 44_549_160, 2_049_000, 7.801),
        ("resnet", {"depth": 152}, 60_192_808, 2_049_000, 11.514),
        ("densenet", {"depth": 121}, 7_978_856, 1_025_000, 2.834),
        ("densenet", {"depth": 201}, 20_013_928, 1_921_000, 4.291),
        ("vgg", {"depth": 11, "batch_norm": False}, 132_863_336, 123_642_856, 7.609),
        ("vgg", {"depth": 16}, 138_365_992, 123_642_856, 15.470),
        ("vgg", {"depth": 19, "batch_norm": False}, 143_667_240, 123_642_856, 19.632),
        ("efficientnet", {}, 5_288_548, 1_281_000, 0.386),
        ("efficientnet", {"size": "b4"}, 19_341_616, 1_793_000, None),
        # 17.564 less the products of tokens with tokens, which are not counted: 2 x 12 layers x 197 x 197 x 768.
        ("vit", {}, 86_567_656, 769_000, 17.564 - 0.715),
        ("vit", {"patch": 32}, 88_224_232, 769_000, None),
        ("vit", {"width": 1024, "layers": 24, "heads": 16}, 304_326_632, 1_025_000, None),
    ],
)
@pytest.mark.slow
def test_networks_are_as_large_as_published(name, options, parameters, classifier, giga):
    with torch.device("meta"):
        found = summarise(build_backbone(name, 2, 3, **options), (3, 224, 224))
    assert found.parameters == parameters - classifier
    if giga is not None:
        # A weight of the classifier is one multiply-add.
        assert (found.multiply_adds + classifier) / 1e9 == pytest.approx(giga, abs=2e-3)
