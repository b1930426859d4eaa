"""Layers that keep their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def train_mode(network: nn.Module) -> None:
    """Switch to training, but leave frozen modules in evaluation.

    A frozen batch norm in training mode would still move its running mean with every batch.
    """
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def layers_from_the_top(network: Network) -> list[list[nn.Parameter]]:
    """Return the parameters by depth: first heads, fusion and necks, then the last stages of the backbones, and so on.

    Backbones with fewer stages end earlier.
    """
    chains = [
        [list(backbone.get_submodule(stage).parameters()) for stage in reversed(backbone.stages)]
        for backbone in map(network.backbone, network.modalities)
    ]
    deepest = max(map(len, chains))
    below = [[p for chain in chains if depth < len(chain) for p in chain[depth]] for depth in range(deepest)]
    inside = {id(p) for layer in below for p in layer}
    return [[p for p in network.parameters() if id(p) not in inside], *below]


class Unfreezing:
    """Stages of the backbones that start to learn one after the other, the last stage first.

    What is frozen when this is made stays frozen. Reference: Howard & Ruder (2018), ACL, section 3.3.

    Args:
        network: its backbones are frozen here.
        every: epochs between one stage and the next.
    """

    def __init__(self, network: Network, every: int) -> None:
        self.every = every
        layers = ([p for p in layer if p.requires_grad] for layer in layers_from_the_top(network)[1:])
        self._waiting: Iterator[list[nn.Parameter]] = iter([layer for layer in layers if layer])
        self.last = 0
        for name in network.modalities:
            network.backbone(name).requires_grad_(False)

    def begin(self, epoch: int) -> None:
        """Let the next stage learn where `epoch` (from 0) is its turn."""
        if epoch == 0 or epoch % self.every:
            return
        layer = next(self._waiting, None)
        if layer is not None:
            self.last = epoch
            for parameter in layer:
                parameter.requires_grad_(True)
