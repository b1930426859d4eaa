"""Residual networks of MONAI, cut into stages; weights published for torchvision load by name."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from polydx.models.backbones.base import Backbone
from polydx.models.backbones.squeeze import add_squeeze
from polydx.models.layers import Dims
from polydx.models.options import known

BLOCKS: dict[int, tuple[str, list[int]]] = {
    10: ("basic", [1, 1, 1, 1]),
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
    101: ("bottleneck", [3, 4, 23, 3]),
    152: ("bottleneck", [3, 8, 36, 3]),
}
"""Depth -> block and number of blocks in each of the four stages (He et al. 2016, CVPR, table 1; 10 as in MONAI)."""

PUBLISHED = {"stem.conv": "conv1", "stem.bn": "bn1", **{f"stage{i}": f"layer{i}" for i in (1, 2, 3, 4)}}


def resnet(dims: Dims, channels: int, *, depth: int = 50, width: float = 1.0, squeeze: int | None = None) -> Backbone:
    """Build a ResNet: convolution 7 stride 2, max-pool 3 stride 2, four stages of 64, 128, 256, 512 channels.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        depth: 10, 18, 34, 50, 101 or 152; from 50 on the blocks are bottlenecks with 4 times the channels.
        width: what the channels are multiplied by.
        squeeze: reduction of a squeeze-and-excitation block after the last stage; none if left out.

    Raises:
        ConfigError: an unknown depth, or an impossible reduction.
    """
    from monai.networks.nets.resnet import ResNet

    known(depth, BLOCKS, "depth of the resnet")
    block, layers = BLOCKS[depth]
    # Stride 2 and no bias in the shortcuts, unlike MONAI's defaults: so is the published architecture. With the
    # default stride its weights load as well, and give something else.
    net: Any = ResNet(
        block=block,
        layers=layers,
        block_inplanes=[64, 128, 256, 512],
        spatial_dims=dims,
        n_input_channels=channels,
        conv1_t_size=7,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
        widen_factor=width,
        feed_forward=False,
    )
    stem = nn.Sequential(OrderedDict(conv=net.conv1, bn=net.bn1, act=net.act, pool=net.maxpool))
    stages: dict[str, nn.Module] = {"stem": stem, **{f"stage{i}": getattr(net, f"layer{i}") for i in (1, 2, 3, 4)}}
    expansion = 4 if block == "bottleneck" else 1
    widths = {"stem": int(64 * width)}
    widths |= {f"stage{i}": int(64 * 2 ** (i - 1) * width) * expansion for i in (1, 2, 3, 4)}
    add_squeeze(stages, widths, squeeze)
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths, published=PUBLISHED, flat=True)
