"""Fusion: from one vector a modality to one embedding a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polydx.errors import ConfigError
from polydx.models.fusion.attention import Attention
from polydx.models.fusion.base import Fusion
from polydx.models.fusion.concat import Alone, Concatenate
from polydx.models.fusion.dsaf import Dsaf
from polydx.models.fusion.gated import Gated
from polydx.models.options import check_options, known

FUSIONS: dict[str, type[Fusion]] = {"concat": Concatenate, "dsaf": Dsaf, "attention": Attention, "gated": Gated}


def build_fusion(name: str, widths: Mapping[str, int], **options: Any) -> Fusion:
    """Build the fusion `name`.

    Args:
        name: a key of `FUSIONS`; of a single modality, `concat`, which leaves its vector as it is.
        widths: modality -> width of its vector.
        options: keyword arguments of the fusion.

    Raises:
        ConfigError: the name or an option is unknown or impossible, or there is nothing to fuse.
    """
    known(name, FUSIONS, "fusion")
    check_options(FUSIONS[name], options, f"fusion {name!r}", given=("widths",))
    if len(widths) > 1:
        return FUSIONS[name](widths, **options)
    if name != "concat" or options:
        raise ConfigError(f"the fusion {name!r} joins several modalities, but there is one: leave `fusion` out")
    return Alone(widths)


__all__ = ["FUSIONS", "Fusion", "build_fusion"]
