"""The network: a backbone and a neck for each modality, fusion, one head for each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.backbones import Backbone, build_backbone
from polydx.models.backbones.ft_transformer import Slices
from polydx.models.bags import Bags, as_bags
from polydx.models.fusion import build_fusion
from polydx.models.heads import Head
from polydx.models.layers import steady_norms
from polydx.models.necks import Neck, build_neck
from polydx.models.options import check_options, known
from polydx.models.pooling import POOLS, MeanPool
from polydx.models.seeding import seeded

Options = Mapping[str, Any]
Inputs = Mapping[str, Tensor | Bags]
Vectors = dict[str, Tensor]


class Network(nn.Module):
    """Several modalities in, several tasks out.

    A sample goes through four parts, each of which can be called alone: `encode` for every row of a modality, `pool`
    for the rows of a sample, `fuse` for its modalities, and the heads. A modality without rows is missing, and the
    fusion is told so. Parameters are named `backbones.<modality>.<stage>...`, `necks.<modality>...`,
    `pools.<modality>...`, `fusion...`, `heads.<task>...`.

    Args:
        backbones: modality -> backbone.
        necks: modality -> neck, for the same modalities.
        heads: task -> head, each as wide as the fusion's output.
        fusion: a key of `FUSIONS`, or one with options, `{"name": ...}`.
        bags: modality -> key of `POOLS`; `mean` where left out.

    Raises:
        ConfigError: names or widths do not fit together.
    """

    def __init__(
        self,
        *,
        backbones: Mapping[str, Backbone],
        necks: Mapping[str, Neck],
        heads: Mapping[str, Head],
        fusion: str | Options = "concat",
        bags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        if not backbones or set(backbones) != set(necks):
            raise ConfigError(
                f"a network needs one backbone and one neck a modality, but got backbones for {sorted(backbones)} "
                f"and necks for {sorted(necks)}"
            )
        for name in (*backbones, *heads):
            _check_name(name)
        self.backbones = nn.ModuleDict(backbones)
        self.necks = nn.ModuleDict({name: necks[name] for name in backbones})
        self.pools = nn.ModuleDict({name: _pool(name, how, necks) for name, how in (bags or {}).items()})
        options = {"name": fusion} if isinstance(fusion, str) else dict(fusion)
        self.fusion = build_fusion(widths={name: necks[name].out_width for name in backbones}, **options)
        self.embedding_width = self.fusion.out_width
        if self.fusion.regions:
            _check_regions(backbones, necks)
        self.heads = nn.ModuleDict()
        for task, head in heads.items():
            self.set_head(task, head)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that `forward` takes, in the order of the fusion."""
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

    def forward(self, inputs: Inputs, after: Mapping[str, str] | None = None) -> dict[str, Tensor]:
        """Return {task: logits (B, K)}; arguments as in `embed`."""
        embedding = self.embed(inputs, after)
        return {task: head(embedding) for task, head in self.heads.items()}

    def embed(self, inputs: Inputs, after: Mapping[str, str] | None = None) -> Tensor:
        """Return the fused embedding (B, D).

        Args:
            inputs: modality -> one row a sample, (B, C, L), (B, C, H, W) or (B, D); or bags of B samples with none, one
                or several rows each. A modality that is left out is missing in all samples.
            after: modality -> stage whose feature map `inputs` holds in place of the input itself.

        Raises:
            ConfigError: none of the network's modalities is among `inputs`.
        """
        return self.fuse(*self.pooled(inputs, after))

    def pooled(self, inputs: Inputs, after: Mapping[str, str] | None = None) -> tuple[Vectors, Vectors]:
        """Return what `fuse` takes: modality -> (B, ...) vectors, and modality -> (B,) bool, who has it.

        Raises:
            ConfigError: as in `embed`.
        """
        found = {name: as_bags(inputs[name]) for name in self.backbones if name in inputs}
        if not found:
            raise ConfigError(
                f"this network takes {', '.join(self.modalities)}, but the inputs are {', '.join(inputs) or 'none'}"
            )
        vectors: dict[str, Tensor] = {}
        count = len(next(iter(found.values())))
        device = next(self.parameters()).device
        for name, bags in found.items():
            if len(bags.values):
                encoded = self.encode(name, bags.rows, (after or {}).get(name))
                vectors[name] = self.pool(name, encoded, bags.owner.to(device), count) if bags.ragged else encoded
        present = {name: bags.present.to(device) for name, bags in found.items()}
        for name in self.backbones:
            width = cast(Neck, self.necks[name]).out_width
            vectors.setdefault(name, torch.zeros(count, width, device=device))
            present.setdefault(name, torch.zeros(count, dtype=torch.bool, device=device))
        return vectors, present

    def encode(self, name: str, x: Tensor, after: str | None = None) -> Tensor:
        """Return (n, D) vectors of the rows of one modality; where the fusion takes regions, (n, 1 + R, D) tokens.

        Args:
            name: of the modality.
            x: (n, C, L), (n, C, H, W) or (n, D), or the feature map after the stage `after`.
            after: name of a stage.
        """
        backbone, neck = self.backbone(name), self.necks[name]
        # A batch norm cannot learn from one row: there it uses what it knows.
        with steady_norms(self.training and len(x) == 1 and len(self.backbones) > 1, backbone, neck):
            found = backbone(x) if after is None else backbone.resume(x, after)
            vector: Tensor = neck(found)
        if not self.fusion.regions:
            return vector
        if found[0, 0].numel() == 1:  # one position is the vector itself
            return vector.unsqueeze(1)
        return torch.cat([vector.unsqueeze(1), found.flatten(2).transpose(1, 2)], dim=1)

    def pool(self, name: str, encoded: Tensor, owner: Tensor, count: int) -> Tensor:
        """Return (count, ...), one for the rows (n, ...) of each of `count` samples; `owner` (n,) says whose."""
        pool = self.pools[name] if name in self.pools else MeanPool()
        found: Tensor = pool(encoded, owner, count)
        return found

    def fuse(self, vectors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return the embedding (B, D) of the vectors (B, ...) of every modality, as far as they are present (B,)."""
        fused: Tensor = self.fusion(vectors, present)
        return fused

    def encoder(self, modality: str) -> Network:
        """Return a network of one modality without heads, which shares backbone and neck with this one.

        In the place of a neck that belongs to what comes after pretraining stands a plain one.
        """
        neck = cast(Neck, self.necks[modality]).plain()
        return Network(backbones={modality: self.backbone(modality)}, necks={modality: neck}, heads={})

    def shares(self, inputs: Inputs) -> Tensor | None:
        """Return (B, M), what part each modality has in the embedding; None where the fusion does not say."""
        found: Tensor | None = self.fusion.shares(*self.pooled(inputs))
        return found

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
    fusion: str | Options = "concat",
    bags: Mapping[str, str] | None = None,
    fields: Mapping[str, Slices] | None = None,
    seed: int,
) -> Network:
    """Build a network from names and options, with weights that depend on `seed` alone.

    Args:
        shapes: modality -> shape of one input, (C, L), (C, H, W), or (D,) of a table.
        backbones: modality -> {"name": ..., **options}.
        heads: task -> keyword arguments of `Head`, `classes` among them.
        necks: modality -> {"name": ..., **options}; `average` where left out.
        fusion: a key of `FUSIONS`, or one with options.
        bags: modality -> key of `POOLS`.
        fields: modality that is a table -> (start, stop) of the columns that stand for one value.
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
            own = (fields or {}).get(name)
            built[name] = build_backbone(dims=_dims(name, shape), channels=shape[0], fields=own, **backbones[name])
            neck = (necks or {}).get(name, {"name": "average"})
            pooled[name] = build_neck(map_shape=built[name].map_shape(shape), **neck)
        network = Network(backbones=built, necks=pooled, heads={}, fusion=fusion, bags=bags)
        for task, options in heads.items():
            check_options(Head, options, f"the head of task {task!r}", given=("in_width",))
            network.set_head(task, Head(network.embedding_width, **options))
    return network


def _dims(name: str, shape: tuple[int, ...]) -> int:
    if len(shape) in (1, 2, 3):
        return len(shape) - 1
    raise ConfigError(f"inputs of modality {name!r} must have shape (D,), (C, L) or (C, H, W), but got {shape}")


def _pool(name: str, how: str, necks: Mapping[str, Neck]) -> nn.Module:
    known(name, necks, "modality of the bags")
    known(how, POOLS, "way to pool a bag")
    return POOLS[how](necks[name].out_width)


def _check_regions(backbones: Mapping[str, Backbone], necks: Mapping[str, Neck]) -> None:
    wrong = [name for name, neck in necks.items() if neck.out_width != backbones[name].out_width]
    if wrong:
        raise ConfigError(
            f"regions stand beside a vector as wide as they are: the neck of {', '.join(wrong)} makes another one; "
            "use `average`, `max`, `gem` or `attention`"
        )


def _check_name(name: str) -> None:
    if not name or "." in name:
        raise ConfigError(f"{name!r} cannot name a modality or task of a network: rename it, without dots")
    if hasattr(nn.ModuleDict, name):
        raise ConfigError(f"{name!r} cannot name a modality or task of a network: torch reserves it; rename it")
