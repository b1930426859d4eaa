"""Answers of a fitted network, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polydx.errors import StudyError, counted
from polydx.models.bags import Bags
from polydx.models.network import Network
from polydx.models.pooling import MeanPool
from polydx.training.prefix import Rows


def predict_logits(
    network: Network, inputs: Mapping[str, Tensor | Bags], batch_size: int = 256
) -> dict[str, NDArray[np.float64]]:
    """Return the logits of every task.

    Args:
        network: stays in evaluation mode, on its device.
        inputs: modality -> (N, C, L), (N, C, H, W) or (N, D), or bags of such rows.
        batch_size: rows at a time; it changes the result by rounding only.

    Returns:
        task -> (N, K).
    """
    logits = batched_logits(network, inputs, _device(network), batch_size)
    return {task: values.double().numpy() for task, values in logits.items()}


def extract_features(
    network: Network,
    inputs: Mapping[str, Tensor | Bags],
    stage: str,
    batch_size: int = 256,
    pool: Literal["average", "flat"] = "flat",
) -> NDArray[np.float32]:
    """Return one vector a sample at a named stage.

    Args:
        network: stays in evaluation mode, on its device.
        inputs: modality -> (N, C, L), (N, C, H, W) or (N, D), or bags of such rows.
        stage: `<modality>.<stage>`; or `embedding`, the fused vector.
        batch_size: rows at a time.
        pool: of a stage's map, the mean over its positions, or all of them side by side.

    Returns:
        (N, D).

    Raises:
        ConfigError: no such modality or stage; the message lists those there are.
        StudyError: a sample has no row of the modality.
    """
    network.eval()
    found = []
    with torch.inference_mode():
        for batch in _batches(inputs, _device(network), batch_size):
            x = network.embed(batch) if stage == "embedding" else _at_stage(network, batch, stage)
            pooled = x.flatten(2).mean(dim=2) if pool == "average" and x.ndim > 2 else x.flatten(1)
            found.append(pooled.float().cpu())
    return torch.cat(found).numpy()


def modality_shares(
    network: Network, inputs: Mapping[str, Tensor | Bags], batch_size: int = 256
) -> NDArray[np.float64] | None:
    """Return (N, M), what part each modality has in a sample's embedding, 0 where it is missing.

    None where the fusion has no weights to say so; arguments as in `predict_logits`.
    """
    network.eval()
    found = []
    with torch.inference_mode():
        for batch in _batches(inputs, _device(network), batch_size):
            shares = network.shares(batch)
            if shares is None:
                return None
            found.append(shares.double().cpu())
    return torch.cat(found).numpy()


def _at_stage(network: Network, batch: Mapping[str, Tensor | Bags], stage: str) -> Tensor:
    """Return the map of each sample (B, ...), the mean over its rows."""
    name = stage.partition(".")[0]
    bags = batch.get(name)
    if not isinstance(bags, Bags):
        return network.features({n: x for n, x in batch.items() if isinstance(x, Tensor)}, stage)
    lacking = int((~bags.present).sum())
    if lacking:
        raise StudyError(f"{counted(lacking, 'sample')} without {name!r}: features at {stage!r} need it")
    maps = network.features({name: bags.rows}, stage)
    found: Tensor = MeanPool()(maps, bags.owner.to(maps.device), len(bags)) if bags.ragged else maps
    return found


def batched_logits(
    network: nn.Module,
    inputs: Mapping[str, Rows],
    device: torch.device,
    batch_size: int,
    after: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Return task -> (N, K) logits, float32 on the CPU; leaves the network in evaluation mode.

    `after` as in `Network.embed`.
    """
    network.eval()
    found: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for batch in _batches(inputs, device, batch_size):
            for task, values in network(batch, after).items():
                found.setdefault(task, []).append(values.float().cpu())
    return {task: torch.cat(parts) for task, parts in found.items()}


def _batches(inputs: Mapping[str, Rows], device: torch.device, batch_size: int) -> Iterator[dict[str, Tensor | Bags]]:
    count = len(next(iter(inputs.values())))
    for start in range(0, max(count, 1), batch_size):
        yield {name: x[start : start + batch_size].to(device) for name, x in inputs.items()}


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
