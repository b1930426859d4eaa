"""Residual networks with squeeze-and-excitation in every block, from MONAI."""

from __future__ import annotations

from typing import Any

from polydx.models.backbones.base import Backbone
from polydx.models.layers import Dims
from polydx.models.options import known

LAYERS = {26: [2, 2, 2, 2], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
"""Depth -> bottleneck blocks in each of the four stages (Hu, Shen & Sun 2018, CVPR)."""


def se_resnet(dims: Dims, channels: int, *, depth: int = 50, reduction: int = 16) -> Backbone:
    """Build an SE-ResNet: as a ResNet of bottlenecks, each block's channels weighted by their own means.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        depth: 26, 50, 101 or 152.
        reduction: by how much the squeeze narrows the channels.

    Raises:
        ConfigError: an unknown depth.
    """
    from monai.networks.nets.senet import SENet

    known(depth, LAYERS, "depth of the se_resnet")
    net: Any = SENet(
        spatial_dims=dims,
        in_channels=channels,
        block="se_resnet_bottleneck",
        layers=LAYERS[depth],
        groups=1,
        reduction=reduction,
        dropout_prob=None,
        inplanes=64,
        downsample_kernel_size=1,
        input_3x3=False,
        num_classes=1,
    )
    stages = {"stem": net.layer0, **{f"stage{i}": getattr(net, f"layer{i}") for i in (1, 2, 3, 4)}}
    widths = {"stem": 64, **{f"stage{i}": 256 * 2 ** (i - 1) for i in (1, 2, 3, 4)}}
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths)
