"""The network: a backbone and a neck for each modality, fusion, one head for each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.backbones import Backbone, build_backbone
from polydx.models.fusion import FUSIONS
from polydx.models.heads import Head
from polydx.models.layers import Dims
from polydx.models.necks import Neck, build_neck
from polydx.models.options import check_options, known
from polydx.models.seeding import seeded

Options = Mapping[str, Any]


class Network(nn.Module):
    """Several modalities in, several tasks out.

    Parameters are named `backbones.<modality>.<stage>...`, `necks.<modality>...`, `fusion...`, `heads.<task>...`.

    Args:
        backbones: modality -> backbone.
        necks: modality -> neck, for the same modalities.
        heads: task -> head, each as wide as the fusion's output.
        fusion: a key of `FUSIONS`.

    Raises:
        ConfigError: names or widths do not fit together.
    """

    def __init__(
        self,
        *,
        backbones: Mapping[str, Backbone],
        necks: Mapping[str, Neck],
        heads: Mapping[str, Head],
        fusion: str = "concat",
    ) -> None:
        super().__init__()
        known(fusion, FUSIONS, "fusion")
        if not backbones or set(backbones) != set(necks):
            raise ConfigError(
                f"a network needs one backbone and one neck a modality, but got backbones for {sorted(backbones)} "
                f"and necks for {sorted(necks)}"
            )
        for name in (*backbones, *heads):
            _check_name(name)
        self.backbones = nn.ModuleDict(backbones)
        self.necks = nn.ModuleDict({name: necks[name] for name in backbones})
        self.fusion = FUSIONS[fusion]({name: necks[name].out_width for name in backbones})
        self.embedding_width = int(self.fusion.out_width)  # type: ignore[arg-type]
        self.heads = nn.ModuleDict()
        for task, head in heads.items():
            self.set_head(task, head)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that `forward` needs."""
        return tuple(self.backbones)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that `forward` answers."""
        return tuple(self.heads)

    def set_head(self, task: str, head: Head) -> None:
        """Add a head, or put it in the place of the task's present one.

        Raises:
            ConfigError: the head is not as wide as the embedding.
        """
        _check_name(task)
        if head.in_width != self.embedding_width:
            raise ConfigError(
                f"the head of task {task!r} takes {head.in_width} values, but the embedding has {self.embedding_width}"
            )
        self.heads[task] = head

    def forward(self, inputs: Mapping[str, Tensor], after: Mapping[str, str] | None = None) -> dict[str, Tensor]:
        """Return {task: logits (B, K)} for {modality: (B, C, L) or (B, C, H, W)}; `after` as in `embed`."""
        embedding = self.embed(inputs, after)
        return {task: head(embedding) for task, head in self.heads.items()}

    def embed(self, inputs: Mapping[str, Tensor], after: Mapping[str, str] | None = None) -> Tensor:
        """Return the fused embedding (B, D).

        Args:
            inputs: {modality: (B, C, L) or (B, C, H, W)}.
            after: modality -> stage whose feature map `inputs` holds in place of the input itself.

        Raises:
            ConfigError: a modality of the network is missing from `inputs`.
        """
        missing = [name for name in self.backbones if name not in inputs]
        if missing:
            raise ConfigError(f"this network needs {', '.join(self.modalities)}; missing: {', '.join(missing)}")
        stages = after or {}
        maps = {
            name: self.backbone(name).resume(inputs[name], stages[name]) if name in stages else backbone(inputs[name])
            for name, backbone in self.backbones.items()
        }
        vectors = {name: self.necks[name](x) for name, x in maps.items()}
        fused: Tensor = self.fusion(vectors)
        return fused

    def features(self, inputs: Mapping[str, Tensor], stage: str) -> Tensor:
        """Return the feature map of one modality after one stage.

        Args:
            inputs: {modality: (B, C, L) or (B, C, H, W)}; only the one asked for is read.
            stage: `<modality>.<stage>`, such as `raman.stage3`.

        Raises:
            ConfigError: no such modality or stage, or the modality is not among the inputs.
        """
        modality, _, cut = stage.partition(".")
        backbone = self.backbone(modality)
        if modality not in inputs:
            raise ConfigError(f"features at {stage!r} need the modality {modality!r}, which the input lacks")
        return backbone.features(inputs[modality], cut)

    def backbone(self, modality: str) -> Backbone:
        """Return the backbone of one modality.

        Raises:
            ConfigError: no such modality.
        """
        known(modality, self.modalities, "modality")
        return cast(Backbone, self.backbones[modality])

    def head(self, task: str) -> Head:
        """Return the head of one task.

        Raises:
            ConfigError: no such task.
        """
        known(task, self.tasks, "task")
        return cast(Head, self.heads[task])


def build_network(
    shapes: Mapping[str, tuple[int, ...]],
    *,
    backbones: Mapping[str, Options],
    heads: Mapping[str, Options],
    necks: Mapping[str, Options] | None = None,
    fusion: str = "concat",
    seed: int,
) -> Network:
    """Build a network from names and options, with weights that depend on `seed` alone.

    Args:
        shapes: modality -> shape of one input, (C, L) or (C, H, W).
        backbones: modality -> {"name": ..., **options}.
        heads: task -> keyword arguments of `Head`, `classes` among them.
        necks: modality -> {"name": ..., **options}; `average` where left out.
        fusion: a key of `FUSIONS`.
        seed: of the weights.

    Raises:
        ConfigError: names, options, shapes or widths do not fit together.
    """
    if set(shapes) != set(backbones):
        raise ConfigError(f"backbones are given for {sorted(backbones)}, but the inputs are {sorted(shapes)}")
    built: dict[str, Backbone] = {}
    pooled: dict[str, Neck] = {}
    with seeded(seed):
        for name, shape in shapes.items():
            built[name] = build_backbone(dims=_dims(name, shape), channels=shape[0], **backbones[name])
            neck = (necks or {}).get(name, {"name": "average"})
            pooled[name] = build_neck(map_shape=built[name].map_shape(shape), **neck)
        network = Network(backbones=built, necks=pooled, heads={}, fusion=fusion)
        for task, options in heads.items():
            check_options(Head, options, f"the head of task {task!r}", given=("in_width",))
            network.set_head(task, Head(network.embedding_width, **options))
    return network


def _dims(name: str, shape: tuple[int, ...]) -> Dims:
    if len(shape) == 2:
        return 1
    if len(shape) == 3:
        return 2
    raise ConfigError(f"inputs of modality {name!r} must have shape (C, L) or (C, H, W), but got {shape}")


def _check_name(name: str) -> None:
    if not name or "." in name:
        raise ConfigError(f"{name!r} cannot name a modality or task of a network: rename it, without dots")
    if hasattr(nn.ModuleDict, name):
        raise ConfigError(f"{name!r} cannot name a modality or task of a network: torch reserves it; rename it")
