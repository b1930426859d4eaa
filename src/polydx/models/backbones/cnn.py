"""A compact convolutional network for spectra of some hundred to some thousand points, and for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.layers import ACTIVATIONS, BATCH_NORM, CONV, MAX_POOL, Dims
from polydx.models.options import known


def cnn(
    dims: Dims,
    channels: int,
    *,
    width: int = 32,
    multipliers: Sequence[int] = (1, 2, 2, 4),
    kernel: int = 3,
    stem_kernel: int = 7,
    activation: str = "relu",
    dropout: float = 0.0,
) -> Backbone:
    """Build a stem (convolution, stride 2, max-pool 2) and strided convolution stages with batch norm.

    Args:
        dims: 1 for spectra, 2 for images.
        channels: channels of the input.
        width: channels of the stem; stage i has `width * multipliers[i]`.
        multipliers: one a stage; each stage halves the length.
        kernel: odd kernel size of the stages.
        stem_kernel: odd kernel size of the stem.
        activation: relu, gelu or silu.
        dropout: probability of dropping a value after each stage.

    Raises:
        ConfigError: an unknown activation, an even kernel or no stage.
    """
    known(activation, ACTIVATIONS, "activation")
    if kernel % 2 == 0 or stem_kernel % 2 == 0:
        raise ConfigError(f"kernels of the cnn must be odd, but got kernel={kernel}, stem_kernel={stem_kernel}")
    if not multipliers:
        raise ConfigError("the cnn needs at least one stage: `multipliers` is empty")
    stages: dict[str, nn.Module] = {"stem": _block(dims, channels, width, stem_kernel, activation, pool=True)}
    widths = {"stem": width}
    before = width
    for number, multiplier in enumerate(multipliers, start=1):
        after = width * multiplier
        stages[f"stage{number}"] = _block(dims, before, after, kernel, activation, dropout=dropout)
        widths[f"stage{number}"] = before = after
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths, flat=True)


def _block(
    dims: Dims, before: int, after: int, kernel: int, activation: str, *, dropout: float = 0.0, pool: bool = False
) -> nn.Sequential:
    conv = CONV[dims](before, after, kernel, stride=2, padding=kernel // 2, bias=False)
    layers: list[tuple[str, nn.Module]] = [("conv", conv)]
    if pool:
        # Before the norm, not after it: the norm and the activation then work on half the points.
        layers.append(("pool", MAX_POOL[dims](2)))
    layers += [("bn", BATCH_NORM[dims](after)), ("act", ACTIVATIONS[activation]())]
    if dropout:
        layers.append(("dropout", nn.Dropout(dropout)))
    return nn.Sequential(OrderedDict(layers))
