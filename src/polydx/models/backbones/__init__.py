"""Backbones by name; each builder takes `(dims, channels, **options)` and gives a `Backbone`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polydx.errors import ConfigError
from polydx.models.backbones.bacteria import bacteria_resnet
from polydx.models.backbones.base import Backbone
from polydx.models.backbones.cnn import cnn
from polydx.models.backbones.densenet import densenet
from polydx.models.backbones.efficientnet import efficientnet
from polydx.models.backbones.mlp import mlp
from polydx.models.backbones.resnet import resnet
from polydx.models.backbones.se_resnet import se_resnet
from polydx.models.backbones.transformer import transformer
from polydx.models.backbones.vgg import vgg
from polydx.models.backbones.vit import vit
from polydx.models.layers import Dims
from polydx.models.options import check_options, known

Builder = Callable[..., Backbone]

BACKBONES: dict[str, Builder] = {
    "cnn": cnn,
    "mlp": mlp,
    "resnet": resnet,
    "se_resnet": se_resnet,
    "densenet": densenet,
    "efficientnet": efficientnet,
    "vgg": vgg,
    "bacteria_resnet": bacteria_resnet,
    "transformer": transformer,
    "vit": vit,
}


def build_backbone(name: str, dims: Dims, channels: int, **options: Any) -> Backbone:
    """Build the backbone `name` for spectra (`dims=1`) or images (`dims=2`).

    Args:
        name: a key of `BACKBONES`.
        dims: 1 or 2.
        channels: channels of the input.
        options: keyword arguments of that backbone's builder.

    Raises:
        ConfigError: the name or an option is unknown, or an option has an impossible value.
    """
    known(name, BACKBONES, "backbone")
    if dims not in (1, 2):
        raise ConfigError(f"a backbone works on 1 dimension (spectra) or 2 (images), but got dims={dims}")
    check_options(BACKBONES[name], options, f"backbone {name!r}", given=("dims", "channels"))
    return BACKBONES[name](dims, channels, **options)


__all__ = ["BACKBONES", "Backbone", "build_backbone"]
