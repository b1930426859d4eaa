"""VGG networks for spectra and images; weights published for torchvision load by name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.backbones.squeeze import add_squeeze
from polydx.models.layers import BATCH_NORM, CONV, MAX_POOL, Dims
from polydx.models.options import known

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Depth -> convolutions in each of the five stages (Simonyan & Zisserman 2015, ICLR, table 1: A, B, D, E)."""
CHANNELS = (64, 128, 256, 512, 512)
NAMES = ("stem", "stage1", "stage2", "stage3", "stage4")


def vgg(
    dims: Dims,
    channels: int,
    *,
    depth: int = 16,
    batch_norm: bool = True,
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
    width: float = 1.0,
    squeeze: int | None = None,
) -> Backbone:
    """Build a VGG: five stages of convolutions of 3 with bias, each ending in a max-pool of 2.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        depth: 11, 13, 16 or 19.
        batch_norm: whether each convolution is followed by batch norm.
        dilations: of the convolutions, one a stage.
        width: what the channels (64, 128, 256, 512, 512) are multiplied by.
        squeeze: reduction of a squeeze-and-excitation block after the last stage; none if left out.

    Raises:
        ConfigError: an unknown depth, not five dilations of at least 1, or an impossible reduction.
    """
    known(depth, CONVOLUTIONS, "depth of the vgg")
    if len(dilations) != len(NAMES) or min(dilations) < 1:
        raise ConfigError(f"the vgg needs five dilations of at least 1, but got {list(dilations)}")
    stages: dict[str, nn.Module] = {}
    widths: dict[str, int] = {}
    published: dict[str, str] = {}
    before, position = channels, 0
    for name, count, full, dilation in zip(NAMES, CONVOLUTIONS[depth], CHANNELS, dilations, strict=True):
        after = max(1, int(full * width))
        stages[name] = _stage(dims, before, after, count, dilation, batch_norm)
        # torchvision numbers the layers through all stages: features.0, features.1, ...
        published |= {f"{name}.{i}": f"features.{position + i}" for i in range(len(stages[name]))}  # type: ignore[arg-type]
        position += len(stages[name])  # type: ignore[arg-type]
        widths[name] = before = after
    add_squeeze(stages, widths, squeeze)
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths, published=published, flat=True)


def _stage(dims: Dims, before: int, after: int, count: int, dilation: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(count):
        conv = CONV[dims](after if number else before, after, 3, padding=dilation, dilation=dilation)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, *([BATCH_NORM[dims](after)] if batch_norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, MAX_POOL[dims](2, 2))
