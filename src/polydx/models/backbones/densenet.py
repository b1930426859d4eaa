"""Densely connected networks of MONAI, cut into stages; weights published for torchvision load by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.backbones.squeeze import add_squeeze
from polydx.models.layers import Dims
from polydx.models.options import known

BLOCKS: dict[int, tuple[int, ...]] = {
    121: (6, 12, 24, 16),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}
"""Depth -> layers in each dense block (Huang et al. 2017, CVPR, table 1)."""

OLDER = {r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.": r"\1\2."}
"""Names in the published files, from before names could hold no dots -> names since."""


def densenet(
    dims: Dims,
    channels: int,
    *,
    depth: int = 121,
    layers: Sequence[int] | None = None,
    growth: int = 32,
    width: int = 64,
    dropout: float = 0.0,
    squeeze: int | None = None,
) -> Backbone:
    """Build a DenseNet; stage i is dense block i, from the second on with the transition that leads to it.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        depth: 121, 169, 201 or 264.
        layers: layers in each dense block, instead of those of `depth`.
        growth: channels that each layer adds.
        width: channels of the stem.
        dropout: probability of dropping a value after each layer.
        squeeze: reduction of a squeeze-and-excitation block after the last stage; none if left out.

    Raises:
        ConfigError: an unknown depth, an empty block, or an impossible reduction.
    """
    from monai.networks.nets.densenet import DenseNet

    known(depth, BLOCKS, "depth of the densenet")
    sizes = tuple(layers) if layers is not None else BLOCKS[depth]
    if not sizes or min(sizes) < 1:
        raise ConfigError(f"every dense block needs a layer, but got layers={list(sizes)}")
    net: Any = DenseNet(
        spatial_dims=dims,
        in_channels=channels,
        out_channels=1,
        init_features=width,
        growth_rate=growth,
        block_config=sizes,
        dropout_prob=dropout,
    )
    stages: dict[str, nn.Module] = {"stem": _part(net, "conv0", "norm0", "relu0", "pool0")}
    widths, after = {"stem": width}, width
    for number, size in enumerate(sizes, start=1):
        first = [f"transition{number - 1}"] if number > 1 else []
        stages[f"stage{number}"] = _part(net, *first, f"denseblock{number}")
        after = (after // 2 if first else after) + size * growth
        widths[f"stage{number}"] = after
    last = stages[f"stage{len(sizes)}"]
    last.add_module("norm5", net.features.norm5)
    last.add_module("relu5", nn.ReLU(inplace=True))
    add_squeeze(stages, widths, squeeze)
    return Backbone(
        dims=dims,
        channels=channels,
        stages=stages,
        widths=widths,
        published=_published(sizes),
        older=OLDER,
        flat=True,
    )


def _part(net: Any, *names: str) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, net.features.get_submodule(name)) for name in names))


def _published(sizes: Sequence[int]) -> dict[str, str]:
    """Name the keys as torchvision does: flat, and without MONAI's `layers` inside a dense layer."""
    names = {
        f"stage{block}.denseblock{block}.denselayer{layer}.layers": f"features.denseblock{block}.denselayer{layer}"
        for block, size in enumerate(sizes, start=1)
        for layer in range(1, size + 1)
    }
    return {**names, **dict.fromkeys(("stem", *(f"stage{i + 1}" for i in range(len(sizes)))), "features")}
