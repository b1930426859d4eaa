"""The residual network of the bacteria-ID study, by name and key, so that its published weights load."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.layers import BATCH_NORM, CONV, Dims


class Block(nn.Module):
    """conv - BN - ReLU - conv - BN, plus the input, which a 1 x 1 convolution fits where the shape changes."""

    def __init__(self, dims: Dims, before: int, after: int, kernel: int, stride: int) -> None:
        super().__init__()
        conv, norm, padding = CONV[dims], BATCH_NORM[dims], kernel // 2
        self.conv1 = conv(before, after, kernel, stride=stride, padding=padding, bias=False)
        self.bn1 = norm(after)
        self.conv2 = conv(after, after, kernel, stride=1, padding=padding, bias=False)
        self.bn2 = norm(after)
        changes = stride != 1 or before != after
        fit = [conv(before, after, 1, stride=stride, bias=False), norm(after)] if changes else []
        self.shortcut = nn.Sequential(*fit)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, D, L / stride)."""
        # In place: batch norm needs its input again in the backward pass, never its output.
        y = functional.relu_(self.bn1(self.conv1(x)))
        return functional.relu_(self.bn2(self.conv2(y)).add_(self.shortcut(x)))


def bacteria_resnet(
    dims: Dims,
    channels: int,
    *,
    width: int = 100,
    stem_width: int = 64,
    kernel: int = 5,
    blocks: int = 2,
    strides: Sequence[int] = (1, 2, 2, 2, 2, 2),
) -> Backbone:
    """Build the bacteria-ID ResNet: convolution 5 to 64 channels, six stages of two blocks with 100 channels.

    Published keys: conv1, bn1, encoder.S.B.{conv1, bn1, conv2, bn2, shortcut.0, shortcut.1}; stage S + 1 here is
    encoder.S there. The published network flattens the last map (neck `flatten`), (100, 32) for 1,000 points.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        width: channels of every stage.
        stem_width: channels of the first convolution.
        kernel: odd kernel size of the stem and of the blocks.
        blocks: blocks a stage.
        strides: of the first block of each stage.

    Raises:
        ConfigError: an even kernel, or no stage.

    Reference: Ho et al. (2019), Nature Communications 10, 4927.
    """
    if kernel % 2 == 0 or not strides or blocks < 1:
        raise ConfigError(
            f"the bacteria_resnet needs an odd kernel, a stage and a block, "
            f"but got kernel={kernel}, strides={list(strides)}, blocks={blocks}"
        )
    stem = OrderedDict[str, nn.Module](
        conv=CONV[dims](channels, stem_width, kernel, padding=kernel // 2, bias=False),
        bn=BATCH_NORM[dims](stem_width),
        act=nn.ReLU(),
    )
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(stem)}
    before = stem_width
    for number, stride in enumerate(strides, start=1):
        first = Block(dims, before, width, kernel, stride)
        rest = [Block(dims, width, width, kernel, 1) for _ in range(blocks - 1)]
        stages[f"stage{number}"] = nn.Sequential(first, *rest)
        before = width
    names = list(stages)[1:]
    published = {"stem.conv": "conv1", "stem.bn": "bn1", **{name: f"encoder.{s}" for s, name in enumerate(names)}}
    widths = {"stem": stem_width, **dict.fromkeys(names, width)}
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths, published=published, flat=True)
