"""Frozen first stages of a backbone, computed once a row, and read back in every epoch, fit and fold.

The maps are computed in blocks of one fixed size, in which a row's map has the same bytes wherever the row stands and
whatever stands beside it. So a fit gives the same bytes with an empty store, a full one, none that can be written, and
beside other fits. Against a fit without a store it differs by rounding, since there the size of the batch decides in
which order a convolution adds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TypeAlias

import torch
from torch import Tensor, nn

from polydx.models.backbones import Backbone
from polydx.models.bags import Bags, Indexed, rows_of
from polydx.models.network import Network
from polydx.models.summary import summarise
from polydx.training.prefix_store import PrefixStore
from polydx.training.variants import Variant

FORMAT = 1
BLOCK = 16
WORTHWHILE = 100
"""Multiply-adds a value of the map; below, reading it back costs about as much as computing it."""

Autocast = Callable[[], AbstractContextManager[None]]


class Prefix:
    """The stages of a backbone up to `stage`, in evaluation mode.

    Args:
        backbone: whose weights up to there do not change any more; on the device of the fit.
        stage: its name.
        shape: of one input, (C, L) or (C, H, W).
        autocast: the precision of the fit.

    Attributes:
        key: digest of everything that a row's map depends on beside the row: weights, architecture, shape, precision,
            number of threads, machine.
        row_bytes: of one map.
    """

    def __init__(self, backbone: Backbone, stage: str, shape: tuple[int, ...], autocast: Autocast) -> None:
        self.stage, self.autocast = stage, autocast
        self.stages = backbone.until(stage)
        self.device = next(backbone.parameters()).device
        probe = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        told = self._run(probe.expand(BLOCK, *shape).to(self.device).contiguous())
        # Where the place in the block changes the rounding, rows are computed one by one.
        self.block = BLOCK if bool((told == told[:1]).all()) else 1
        self.row_bytes = told[0].numel() * told.element_size()
        self.key = self._key(shape, told)

    def __call__(self, rows: Tensor) -> Tensor:
        """Map rows (n, C, L) or (n, C, H, W) to (n, L', D) or (n, H', W', D), on the CPU."""
        found = []
        for part in torch.split(rows, self.block):
            block = torch.zeros(self.block, *rows.shape[1:], device=self.device)
            block[: len(part)] = part
            found.append(self._run(block)[: len(part)])
        return torch.cat(found)

    def _run(self, block: Tensor) -> Tensor:
        self.stages.eval()
        with torch.no_grad(), self.autocast():
            maps: Tensor = self.stages(block)
        return maps.movedim(1, -1).contiguous().cpu()  # as the stages leave it: channels innermost

    def _key(self, shape: tuple[int, ...], told: Tensor) -> str:
        digest = sha256(repr((FORMAT, torch.__version__, self.stage, shape, self.block, told.dtype)).encode())
        digest.update(repr((str(self.device), torch.get_num_threads(), self.stages)).encode())
        for name, value in self.stages.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode() + _bytes(value))
        # What the stages do with a known row tells whatever the above does not: options of layers, kernels of the
        # machine, another version of this code.
        digest.update(_bytes(told))
        return digest.hexdigest()


class KeptMaps:
    """The maps of rows after a frozen prefix, in place of the rows: indexed like a tensor of N rows.

    Args:
        rows: N inputs.
        prefix: computes what the store does not have.
        store: where maps are kept.
    """

    def __init__(self, rows: Indexed, prefix: Prefix, store: PrefixStore) -> None:
        self.rows, self.prefix, self.store = rows, prefix, store
        self._shelf = store.shelf(prefix.key)
        self._digests: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Return maps (n, D, L') or (n, D, H', W') on the CPU; those that are not kept are computed again."""
        numbers = torch.arange(len(self))[rows if isinstance(rows, slice) else rows.cpu()].tolist()
        if not numbers:
            return self.prefix(self.rows[:0]).movedim(-1, 1)
        maps = [self._shelf.get(self._digests.get(number, b"")) for number in numbers]
        missing = [place for place, found in enumerate(maps) if found is None]
        if missing:
            computed = self.prefix(self.rows[torch.tensor([numbers[place] for place in missing])])
            for place, found in zip(missing, computed, strict=True):
                maps[place] = found
        return torch.stack([found for found in maps if found is not None]).movedim(-1, 1)

    def fill(self, rows: Tensor) -> None:
        """Compute and keep the maps of row numbers (n,), as far as the store takes them."""
        if not len(rows):
            return
        first = self.rows[rows[:1]]
        size = max(self.prefix.row_bytes, first.numel() * first.element_size())
        for part in torch.split(rows, max(1, self.store.shard // size)):
            values = self.rows[part]
            digests = [sha256(_bytes(row)).digest() for row in values]
            self._digests |= dict(zip(part.tolist(), digests, strict=True))
            new = {digest: place for place, digest in enumerate(digests) if digest not in self._shelf}
            if new and self.store.takes_more:
                self.store.add(self.prefix.key, list(new), self.prefix(values[list(new.values())]))


Rows: TypeAlias = Tensor | Variant | KeptMaps | Bags


def frozen_stage(backbone: Backbone) -> str | None:
    """Return the last stage up to which nothing learns and every row is computed by itself; None if there is none."""
    last = None
    for name in backbone.stages:
        stage = backbone.get_submodule(name)
        parameters = list(stage.parameters())
        # Without parameters `train_mode` leaves a stage in training, dropout and all.
        if not parameters or any(p.requires_grad for p in parameters) or not _by_row(stage):
            break
        last = name
    return last


def frozen_prefixes(
    network: Network, inputs: Mapping[str, Tensor | Bags], steady: Collection[str], autocast: Autocast
) -> dict[str, Prefix]:
    """Return modality -> frozen prefix, for those that are worth keeping.

    Args:
        network: on the device of the fit; what is frozen must stay frozen.
        inputs: modality -> (N, C, L) or (N, C, H, W), or bags of them.
        steady: modalities whose rows are the same in every epoch.
        autocast: the precision of the fit.
    """
    found = {}
    for name in [name for name in network.modalities if name in inputs]:
        backbone, shape = network.backbone(name), tuple(rows_of(inputs[name]).shape[1:])
        stage = frozen_stage(backbone) if name in steady else None
        if stage is None:
            continue
        stages = backbone.until(stage)
        values = torch.Size(stages.map_shape(shape)).numel()
        if summarise(stages, shape).multiply_adds >= WORTHWHILE * values:
            found[name] = Prefix(backbone, stage, shape, autocast)
    return found


def kept(
    inputs: Mapping[str, Rows], prefixes: Mapping[str, Prefix], store: PrefixStore | None, rows: Tensor
) -> dict[str, Rows]:
    """Return the inputs with maps in place of the rows of modalities that have a prefix; those of `rows` are filled."""
    found = dict(inputs)
    for name, prefix in prefixes.items():
        if store is None:
            continue
        x = inputs[name]
        maps = KeptMaps(x.values if isinstance(x, Bags) else x, prefix, store)
        found[name] = x.with_rows(maps) if isinstance(x, Bags) else maps
        maps.fill(x.numbers(rows.cpu()) if isinstance(x, Bags) else rows.cpu())
    return found


def _by_row(stage: nn.Module) -> bool:
    # Without running statistics a batch norm uses those of the batch also in evaluation.
    norms = (m for m in stage.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    return all(norm.running_mean is not None for norm in norms)


def _bytes(values: Tensor) -> bytes:
    return values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
