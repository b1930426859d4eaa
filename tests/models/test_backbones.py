import numpy as np
import pytest
import torch
from torch import nn

from polydx.errors import BundleError, ConfigError
from polydx.models.backbones import BACKBONES, build_backbone
from polydx.models.heads import Head
from polydx.models.necks import NECKS, build_neck
from polydx.models.network import Network
from polydx.models.seeding import seeded
from polydx.training.freezing import freeze
from polydx.training.loop import fit
from polydx.training.options import TrainingOptions
from polydx.training.streams import shuffled_batches, streams
from polydx.training.tensors import tensor_set

SMALL = {
    "cnn": {"width": 4},
    "mlp": {"hidden": [8, 4], "points": 6},
    "resnet": {"depth": 10, "width": 0.125},
    "se_resnet": {"depth": 26},
    "densenet": {"layers": [1, 2, 1], "growth": 4, "width": 8},
    "efficientnet": {"width": 0.25},
    "vgg": {"depth": 11, "width": 0.1},
    "bacteria_resnet": {"width": 6, "stem_width": 4, "blocks": 1},
    "transformer": {"width": 16, "layers": 2, "heads": 2},
    "vit": {"width": 16, "layers": 2, "heads": 2, "points": 64, "output": "patches"},
}
HEADS = {
    "short": {"classes": 2},
    "long": {"classes": 3, "hidden": [8], "dropout": 0.3, "batch_norm": True, "init_sd": 0.1},
}
# Attention over the one position of an mlp is refused; the necks' own tests say so.
PAIRS = [(name, neck) for name in BACKBONES for neck in NECKS if (name, neck) != ("mlp", "attention")]


def small(name, dims=1, channels=1):
    with seeded(0):
        return build_backbone(name, dims, channels, **SMALL[name])


def shape_of(dims, channels, size):
    return (channels, size) if dims == 1 else (channels, size, size)


def test_the_contract_covers_every_backbone():
    assert set(SMALL) == set(BACKBONES)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("dims", "channels", "size"), [(1, 1, 400), (1, 2, 901), (1, 1, 1174), (2, 3, 64)])
def test_every_stage_gives_the_width_it_says(name, dims, channels, size):
    backbone = small(name, dims, channels).eval()
    x = torch.randn(2, *shape_of(dims, channels, size))
    assert backbone.stages[0] == "stem"
    for stage in backbone.stages:
        features = backbone.features(x, stage)
        assert features.shape[:2] == (2, backbone.widths[stage])
        assert features.ndim >= 3
    torch.testing.assert_close(features, backbone(x))
    assert backbone.map_shape(shape_of(dims, channels, size)) == tuple(features.shape[1:])
    assert backbone.out_width == features.shape[1]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("dims", [1, 2])
def test_a_cut_network_resumes_where_it_was_cut(name, dims):
    backbone = small(name, dims).eval()
    x = torch.randn(2, *shape_of(dims, 1, 64))
    whole = backbone(x)
    for stage in backbone.stages:
        features = backbone.features(x, stage)
        kept = features.clone()
        torch.testing.assert_close(backbone.resume(features, stage), whole, atol=1e-5, rtol=1e-4)
        assert torch.equal(features, kept)
        lower = backbone.until(stage)
        assert torch.equal(lower(x), features)
        assert {id(p) for p in lower.parameters()} <= {id(p) for p in backbone.parameters()}


def assembled(name, neck):
    """Two channels of 128 points, that backbone and neck, and both heads."""
    backbone = small(name, 1, 2)
    with seeded(1):
        pooled = build_neck(neck, backbone.map_shape((2, 128)))
        heads = {task: Head(pooled.out_width, **options) for task, options in HEADS.items()}
        return Network(backbones={"raman": backbone}, necks={"raman": pooled}, heads=heads)


@pytest.mark.parametrize(("name", "neck"), PAIRS)
@pytest.mark.slow
def test_gradients_reach_every_parameter(name, neck):
    network = assembled(name, neck)
    with seeded(2):
        logits = network({"raman": torch.randn(8, 2, 128)})
    assert {task: values.shape for task, values in logits.items()} == {"short": (8, 2), "long": (8, 3)}
    (logits["short"].square().sum() + logits["long"].square().sum()).backward()
    silent = [key for key, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert silent == []
    still = [key for key, p in network.named_parameters() if p.ndim > 1 and not p.grad.any()]
    assert still == []


@pytest.mark.parametrize(("name", "neck"), PAIRS)
@pytest.mark.slow
def test_a_fit_moves_every_free_parameter_and_nothing_of_a_frozen_stage(name, neck):
    """Nine rows in batches of four leave one over; the second task has labels in the first batch alone."""
    network = assembled(name, neck)
    stage = next(
        s for s in network.backbone("raman").stages if list(network.backbone("raman").get_submodule(s).parameters())
    )
    freeze(network, [f"backbones.raman.{stage}"])
    x = np.random.default_rng(0).normal(size=(9, 2, 128))
    first = shuffled_batches(9, 4, streams(0, torch.device("cpu")).batches)[0].numpy()
    second = np.where(np.isin(np.arange(9), first), np.arange(9) % 3, -1)
    rows = tensor_set({"raman": x}, {"short": np.arange(9) % 2, "long": second})
    before = {key: value.clone() for key, value in network.state_dict().items()}
    history = fit(network, rows, options=TrainingOptions(epochs=1, batch_size=4, lr=0.01), seed=0)
    assert set(history.epochs[0]) == {"epoch", "lr", "loss", "loss/short", "loss/long"}
    moved = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    frozen = {key for key in before if key.startswith(f"backbones.raman.{stage}.")}
    assert frozen
    assert moved & frozen == set()
    # A bias before a batch norm has no effect, and so no gradient but rounding.
    due = {key for key, value in before.items() if value.ndim > 1 or "running" in key} - frozen
    assert due <= moved


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("dims", [1, 2])
def test_a_batch_of_one_equals_its_row_of_a_batch(name, dims):
    backbone = small(name, dims).eval()
    x = torch.randn(3, *shape_of(dims, 1, 96))
    with torch.inference_mode():
        torch.testing.assert_close(backbone(x)[1:2], backbone(x[1:2]), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["cnn", "resnet", "densenet", "vgg", "bacteria_resnet"])
def test_flat_maps_change_nothing_but_speed(name):
    flat, x = small(name).eval(), torch.randn(2, 1, 401)
    assert flat.flat
    plain = small(name)
    assert [type(m) for m in plain.modules() if isinstance(m, nn.Conv1d)] != [nn.Conv1d]
    reference = _unflatten(plain).eval()
    torch.testing.assert_close(flat(x), reference(x), atol=1e-5, rtol=1e-4)


def _unflatten(backbone):
    """Put torch's own 1D layers back: an independent path through the same weights."""
    for parent in list(backbone.modules()):
        for key, child in list(parent.named_children()):
            setattr(parent, key, _plain_layer(child))
    backbone.flat = False
    return backbone


def _plain_layer(layer):
    if isinstance(layer, nn.Conv1d):
        made = nn.Conv1d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            bias=layer.bias is not None,
        )
    elif isinstance(layer, nn.BatchNorm1d):
        made = nn.BatchNorm1d(layer.num_features)
    elif isinstance(layer, nn.MaxPool2d):
        return nn.MaxPool1d(layer.kernel_size[1], layer.stride[1], layer.padding[1])
    elif isinstance(layer, nn.AvgPool2d):
        return nn.AvgPool1d(layer.kernel_size[1], layer.stride[1], layer.padding[1])
    else:
        return layer
    made.load_state_dict(layer.state_dict())
    return made


def test_parameters_keep_one_dimensional_shapes():
    assert small("cnn").state_dict()["stem.conv.weight"].shape == (4, 1, 7)


def test_the_weights_depend_on_the_seed_alone():
    with seeded(7):
        first = build_backbone("cnn", 1, 1)
    torch.rand(10)
    with seeded(7):
        second = build_backbone("cnn", 1, 1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_seeding_gives_the_global_stream_back():
    before = torch.get_rng_state()
    with seeded(3):
        torch.rand(5)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnt", {}, "unknown backbone 'resnt'.*Did you mean 'resnet'"),
        ("cnn", {"widht": 3}, "unknown option of backbone 'cnn' 'widht'.*Did you mean 'width'"),
        ("cnn", {"kernel": 4}, "must be odd"),
        ("cnn", {"multipliers": []}, "at least one stage"),
        ("cnn", {"activation": "tanhh"}, "unknown activation 'tanhh'"),
        ("mlp", {"hidden": []}, "at least one hidden layer"),
        ("mlp", {"activation": "x"}, "unknown activation"),
        ("resnet", {"depth": 51}, "unknown depth of the resnet 51"),
        ("se_resnet", {"depth": 18}, "unknown depth of the se_resnet 18"),
        ("densenet", {"depth": 120}, "unknown depth of the densenet 120"),
        ("densenet", {"layers": [2, 0]}, "every dense block needs a layer"),
        ("vgg", {"depth": 12}, "unknown depth of the vgg 12"),
        ("vgg", {"dilations": [1, 2]}, "five dilations"),
        ("bacteria_resnet", {"kernel": 4}, "odd kernel"),
        ("transformer", {"width": 30}, "that `heads` and 4 divide"),
        ("efficientnet", {"size": "b8"}, "unknown size of the efficientnet 'b8'"),
        ("efficientnet", {"drop_path": 1.0}, "`drop_path` must be from 0 up to"),
        ("vit", {"width": 30}, "a width that `heads` divides"),
        ("vit", {"points": 8}, "a patch from 1 to `points`"),
        ("vit", {"output": "token"}, "unknown output of the vit 'token'"),
        ("resnet", {"squeeze": 0}, "`squeeze` divides the channels"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(name, 1, 1, **options)


def test_three_dimensions_are_refused():
    with pytest.raises(ConfigError, match="dims=3"):
        build_backbone("cnn", 3, 1)


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ConfigError, match=r"input of shape \(B, 1, L\), but got \(2, 3, 100\)"):
        small("cnn")(torch.zeros(2, 3, 100))


def test_an_unknown_stage_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown stage 'stage9'; expected one of stem, stage1"):
        small("cnn").features(torch.zeros(2, 1, 100), "stage9")
    with pytest.raises(ConfigError, match="unknown stage"):
        small("cnn").resume(torch.zeros(2, 1, 100), "stage9")
    with pytest.raises(ConfigError, match="unknown stage"):
        small("cnn").until("stage9")


@pytest.mark.parametrize("name", ["vgg", "transformer", "vit"])
def test_an_input_too_short_is_refused(name):
    with pytest.raises(ConfigError, match="an input of 10 points is too small"):
        small(name).map_shape((1, 10))


class PublishedBacteriaNetwork(nn.Module):
    """The published architecture, written down a second time with its own names."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 64, 5, 1, 2, bias=False)
        self.bn1 = nn.BatchNorm1d(64)
        self.encoder = nn.Sequential()
        before = 64
        for stage, stride in enumerate([1, 2, 2, 2, 2, 2]):
            blocks = nn.Sequential()
            for number in range(2):
                blocks.add_module(str(number), self.block(before, stride if number == 0 else 1))
                before = 100
            self.encoder.add_module(str(stage), blocks)
        self.linear = nn.Linear(100 * 32, 30)

    @staticmethod
    def block(before, stride):
        block = nn.Module()
        block.conv1 = nn.Conv1d(before, 100, 5, stride, 2, bias=False)
        block.bn1 = nn.BatchNorm1d(100)
        block.conv2 = nn.Conv1d(100, 100, 5, 1, 2, bias=False)
        block.bn2 = nn.BatchNorm1d(100)
        block.shortcut = nn.Sequential()
        if stride != 1 or before != 100:
            block.shortcut = nn.Sequential(nn.Conv1d(before, 100, 1, stride, bias=False), nn.BatchNorm1d(100))
        return block

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for stage in self.encoder:
            for block in stage:
                y = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
                x = torch.relu(y + block.shortcut(x))
        return x


def published_state(network):
    """Random weights and running statistics, so that no two layers can be confused."""
    generator = torch.Generator().manual_seed(5)
    return {
        key: torch.rand(value.shape, generator=generator) * 0.2 + 0.05 if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }


def test_published_bacteria_weights_load_and_give_the_published_activations():
    theirs = PublishedBacteriaNetwork().eval()
    state = published_state(theirs)
    theirs.load_state_dict(state)
    ours = build_backbone("bacteria_resnet", 1, 1).eval()
    assert ours.load_published(state) == ("linear.weight", "linear.bias")
    x = torch.rand(2, 1, 1000)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-3)
    assert ours.map_shape((1, 1000)) == (100, 32)
    # The lengths that the ALS study reports for its cuts, on 1,174 points.
    lengths = [ours.features(torch.rand(1, 1, 1174), f"stage{i}").shape[2] for i in (6, 5, 4)]
    assert lengths == [37, 74, 147]


def test_published_keys_are_the_published_ones():
    ours = build_backbone("bacteria_resnet", 1, 1)
    theirs = {key for key in PublishedBacteriaNetwork().state_dict() if not key.startswith("linear")}
    assert {ours.published_key(key) for key in ours.state_dict()} == theirs


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("resnet", {"depth": 18}, {"conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.bn2.running_var"}),
        ("vgg", {"depth": 11}, {"features.0.weight", "features.25.weight", "features.26.running_mean"}),
        (
            "densenet",
            {"depth": 121},
            {
                "features.conv0.weight",
                "features.transition3.conv.weight",
                "features.denseblock4.denselayer16.norm2.weight",
                "features.norm5.bias",
            },
        ),
    ],
)
def test_keys_follow_torchvision(name, options, expected):
    backbone = build_backbone(name, 2, 3, **options)
    keys = {backbone.published_key(key) for key in backbone.state_dict()}
    assert expected <= keys
    assert len(keys) == len(backbone.state_dict())


def test_the_resnet_has_the_published_stride_and_no_shortcut_bias():
    backbone = build_backbone("resnet", 2, 3, depth=18)
    assert backbone.stem.conv.stride == (2, 2)
    assert "stage2.0.downsample.0.bias" not in backbone.state_dict()
    assert backbone.map_shape((3, 224, 224)) == (512, 7, 7)
    # torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in its classifier.
    assert sum(p.numel() for p in backbone.parameters()) == 11_689_512 - 513_000


def test_vgg16_has_the_published_number_of_parameters():
    # torchvision's vgg16 without batch norm has 138,357,544 parameters, 123,642,856 of them in its classifier.
    backbone = build_backbone("vgg", 2, 3, depth=16, batch_norm=False)
    assert sum(p.numel() for p in backbone.parameters()) == 138_357_544 - 123_642_856


def test_weights_that_do_not_fit_are_refused_with_every_key():
    backbone = small("cnn")
    state = backbone.state_dict()
    state["stem.conv.weight"] = torch.zeros(4, 2, 7)
    del state["stage1.bn.bias"]
    with pytest.raises(BundleError) as caught:
        backbone.load_published(state)
    assert {p.where for p in caught.value.problems} == {"stem.conv.weight", "stage1.bn.bias"}


def test_weights_without_batch_counters_load():
    backbone = small("cnn")
    state = {k: v for k, v in backbone.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert backbone.load_published(state) == ()
