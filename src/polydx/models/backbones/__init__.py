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
from polydx.models.backbones.ft_transformer import Slices, ft_transformer
from polydx.models.backbones.mlp import mlp
from polydx.models.backbones.resnet import resnet
from polydx.models.backbones.se_resnet import se_resnet
from polydx.models.backbones.transformer import transformer
from polydx.models.backbones.vgg import vgg
from polydx.models.backbones.vit import vit
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

TABLE_BACKBONES: dict[str, Builder] = {"mlp": mlp, "ft_transformer": ft_transformer}
"""Those that take the columns of a table."""


def build_backbone(name: str, dims: int, channels: int, *, fields: Slices | None = None, **options: Any) -> Backbone:
    """Build the backbone `name` for a table (`dims=0`), spectra (`dims=1`) or images (`dims=2`).

    Args:
        name: a key of `BACKBONES`, or of `TABLE_BACKBONES` for a table.
        dims: 0, 1 or 2.
        channels: channels of the input; of a table, its columns.
        fields: of a table, (start, stop) of the columns that stand for one value.
        options: keyword arguments of that backbone's builder.

    Raises:
        ConfigError: the name or an option is unknown, or an option has an impossible value.
    """
    if dims not in (0, 1, 2):
        raise ConfigError(f"a backbone works on tables (0), spectra (1) or images (2), but got dims={dims}")
    builders = BACKBONES if dims else TABLE_BACKBONES
    known(name, builders, "backbone" if dims else "backbone for a table")
    check_options(builders[name], options, f"backbone {name!r}", given=("dims", "channels", "fields"))
    if builders[name] is ft_transformer:
        options["fields"] = fields
    return builders[name](dims, channels, **options)


__all__ = ["BACKBONES", "TABLE_BACKBONES", "Backbone", "build_backbone"]
