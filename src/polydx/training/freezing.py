"""Layers that keep their weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from polydx.models.network import Network
from polydx.models.options import known


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """Stop the parameters of the named modules from training.

    Args:
        network: any module.
        names: module names such as `backbones.raman.stem` or `heads.als`.

    Raises:
        ConfigError: a name fits no module.
    """
    modules = dict(network.named_modules())
    for name in names:
        known(name, modules, "module")
        modules[name].requires_grad_(False)


def freeze_until(network: Network, stage: str) -> None:
    """Freeze one modality's stages up to and including `stage`, such as `raman.stage2`.

    Raises:
        ConfigError: no such modality or stage.
    """
    modality, _, cut = stage.partition(".")
    stages = network.backbone(modality).stages
    known(cut, stages, "stage")
    freeze(network, [f"backbones.{modality}.{name}" for name in stages[: stages.index(cut) + 1]])


def train_mode(network: nn.Module) -> None:
    """Switch to training, but leave frozen modules in evaluation.

    A frozen batch norm in training mode would still move its running mean with every batch.
    """
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()
