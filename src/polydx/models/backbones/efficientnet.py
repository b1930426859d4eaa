"""EfficientNets of MONAI, cut into stages; weights published for torchvision load by name."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.layers import Dims
from polydx.models.options import known

SIZES: dict[str, tuple[float, float]] = {
    "b0": (1.0, 1.0),
    "b1": (1.0, 1.1),
    "b2": (1.1, 1.2),
    "b3": (1.2, 1.4),
    "b4": (1.4, 1.8),
    "b5": (1.6, 2.2),
    "b6": (1.8, 2.6),
    "b7": (2.0, 3.1),
}
"""Size -> factors on the channels and on the blocks of b0 (Tan & Le 2019, ICML, section 3.3)."""

BLOCKS = (
    "r1_k3_s11_e1_i32_o16_se0.25",
    "r2_k3_s22_e6_i16_o24_se0.25",
    "r2_k5_s22_e6_i24_o40_se0.25",
    "r3_k3_s22_e6_i40_o80_se0.25",
    "r3_k5_s11_e6_i80_o112_se0.25",
    "r4_k5_s22_e6_i112_o192_se0.25",
    "r1_k3_s11_e6_i192_o320_se0.25",
)
"""Blocks of b0, a line a stage: repeats, kernel, stride, expansion, channels in and out, squeeze (ibid., table 1)."""

PARTS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_se_reduce", "_se_expand"), ("_project_conv", "_bn2"))
"""MONAI's names of what torchvision numbers block.0 to block.3; a block without expansion starts with the second."""


def efficientnet(
    dims: Dims, channels: int, *, size: str = "b0", width: float = 1.0, drop_path: float = 0.2
) -> Backbone:
    """Build an EfficientNet: convolution 3 stride 2, seven stages of inverted bottlenecks, convolution 1.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        size: b0 to b7.
        width: what the channels of that size are multiplied by.
        drop_path: probability of leaving out the last block in training; it falls linearly to 0 at the first.

    Raises:
        ConfigError: an unknown size, or an impossible probability.
    """
    from monai.networks.nets.efficientnet import EfficientNet

    known(size, SIZES, "size of the efficientnet")
    if not 0.0 <= drop_path < 1.0:
        raise ConfigError(f"`drop_path` must be from 0 up to, not including, 1, but got {drop_path}")
    wider, deeper = SIZES[size]
    # The published weights of b5 to b7 come from another library, with other constants in their batch norm.
    norm = {"eps": 1e-3, "momentum": 0.01} if size in ("b5", "b6", "b7") else {"eps": 1e-5, "momentum": 0.1}
    net: Any = EfficientNet(
        blocks_args_str=list(BLOCKS),
        spatial_dims=dims,
        in_channels=channels,
        num_classes=1,
        width_coefficient=wider * width,
        depth_coefficient=deeper,
        norm=("batch", norm),
        drop_connect_rate=drop_path,
    )
    _pad_evenly(net)
    stem = nn.Sequential(OrderedDict(conv=net._conv_stem, bn=net._bn0, act=nn.SiLU()))
    stages: dict[str, nn.Module] = {"stem": stem}
    widths = {"stem": int(net._conv_stem.out_channels)}
    for number, blocks in enumerate(net._blocks, start=1):
        stages[f"stage{number}"] = nn.Sequential(*blocks)
        widths[f"stage{number}"] = int(blocks[-1].out_channels)
    stages["stage8"] = nn.Sequential(OrderedDict(conv=net._conv_head, bn=net._bn1, act=nn.SiLU()))
    widths["stage8"] = int(net._conv_head.out_channels)
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths, published=_published(stages))


def _pad_evenly(net: Any) -> None:
    """Let every convolution pad by half its kernel, as published for torch.

    MONAI pads as TensorFlow does, more on one side and by amounts that are right for a single image size: the published
    weights would load, and give something else.
    """
    for module in list(net.modules()):
        for name in [name for name, _ in module.named_children() if name.endswith("_padding")]:
            conv = module.get_submodule(name.removesuffix("_padding"))
            setattr(module, name, nn.Identity())
            if hasattr(conv, "kernel_size"):
                conv.padding = tuple(k // 2 for k in conv.kernel_size)
        if hasattr(module, "_depthwise_conv"):
            module._swish = nn.SiLU()


def _published(stages: dict[str, nn.Module]) -> dict[str, str]:
    """Name the keys as torchvision does: stage i is features.i, the parts of a block are numbered."""
    names: dict[str, str] = {}
    for index, (stage, blocks) in enumerate(stages.items()):
        if isinstance(blocks, nn.Sequential) and not hasattr(blocks, "conv"):
            for number, block in enumerate(blocks):
                names |= _published_block(f"{stage}.{number}", f"features.{index}.{number}.block", block)
        else:
            names |= {f"{stage}.conv": f"features.{index}.0", f"{stage}.bn": f"features.{index}.1"}
    return names


def _published_block(own: str, theirs: str, block: Any) -> dict[str, str]:
    parts = PARTS if block.expand_ratio != 1 else PARTS[1:]
    names: dict[str, str] = {}
    for number, (first, second) in enumerate(parts):
        ends = ("fc1", "fc2") if first == "_se_reduce" else ("0", "1")
        names |= {f"{own}.{part}": f"{theirs}.{number}.{end}" for part, end in zip((first, second), ends, strict=True)}
    return names
