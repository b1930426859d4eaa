"""Weights to start from, loaded into a recipe's network: all that fits, and a sentence about what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from polydx.config import InitConfig, NetworkConfig
from polydx.errors import BundleError, Problem, counted
from polydx.models.network import Network
from polydx.recipes.initial import Source
from polydx.training.weights import load_into


def load_source(network: Network, source: Source, init: InitConfig, config: NetworkConfig) -> list[str]:
    """Load the weights into the network, in place.

    What is missing or of another shape stays as it is, and is told; with `head: mapped`, where nothing is trained,
    everything has to fit.

    Returns:
        Sentences that say what was loaded, left aside, adapted and of another shape.

    Raises:
        BundleError: nothing fits, or a head to keep does not.
    """
    mapped = config.head == "mapped"
    modules = ["backbones", "necks", "pools", "fusion", "heads"] if mapped else list(init.modules)
    if init.keep_head and "heads" not in modules:
        modules.append("heads")
    if not any(key.startswith("backbones.") for key in source.state):
        return [*_load_published(network, source, modules), *([f"init: {source.nobody}"] if source.nobody else [])]
    state = _renamed(source, config)
    report = load_into(network, state, modules, strict=mapped)
    said = [f"init: loaded {_parts(report.loaded)} from {source.path}"]
    if report.skipped:
        said.append(f"init: left aside {_parts(report.skipped)}")
    if report.mismatched or report.missing:
        new = _parts([*report.mismatched, *report.missing])
        said.append(f"init: not in the weights, or of another shape, and so new: {new}")
    if init.keep_head and not _whole_heads(network, report.loaded):
        raise BundleError(f"no head of {source.path} fits a task of this study", _head_problems(network, state))
    return said


def _renamed(source: Source, config: NetworkConfig) -> dict[str, Tensor]:
    """Give the parts of the source's modalities the names they have here."""
    names = {source.modality(name, config): name for name in config.backbones}
    found = {}
    for key, value in source.state.items():
        part, _, rest = key.partition(".")
        modality, _, tail = rest.partition(".")
        if part in ("backbones", "necks") and modality in names:
            key = f"{part}.{names[modality]}.{tail}"
        found[key] = value
    return found


def _whole_heads(network: Network, loaded: Sequence[str]) -> bool:
    """Tell whether at least one head was loaded, and none in part."""
    got = [
        {key in loaded for key in network.state_dict() if key.startswith(f"heads.{task}.")} for task in network.tasks
    ]
    return {True} in got and {True, False} not in got


def _head_problems(network: Network, state: Mapping[str, Tensor]) -> list[Problem]:
    own = {k: v for k, v in network.state_dict().items() if k.startswith("heads.")}
    return [
        Problem(key, f"expected {tuple(value.shape)}, found {tuple(state[key].shape) if key in state else 'nothing'}")
        for key, value in own.items()
    ]


def _load_published(network: Network, source: Source, modules: Sequence[str]) -> list[str]:
    """Load weights under the names their authors gave them: a backbone, and perhaps a classifier."""
    said = []
    for name in network.modalities:
        if "backbones" in modules or f"backbones.{name}" in modules:
            told, left = _load_backbone(network, name, source)
            said += told
    if not said:
        raise BundleError(f"{source.path} holds a backbone alone; `modules` asks for {', '.join(modules)}")
    if "heads" not in modules:
        return [*said, f"init: left aside {', '.join(left)}"] if left else said
    return [*said, _load_classifier(network, {key: source.state[key] for key in left}, source.path)]


def _load_backbone(network: Network, name: str, source: Source) -> tuple[list[str], tuple[str, ...]]:
    """Load weights under a backbone's own names, or the published ones.

    Returns:
        Sentences that say what was loaded, adapted and stays new; and the keys left aside.
    """
    backbone, state = network.backbone(name), source.state
    said: list[str] = []
    if backbone.state_dict().keys() <= state.keys():
        left = load_into(backbone, state).skipped
    else:
        try:
            left = backbone.load_published(state)
        except BundleError as error:
            hint = "; `modules` names the backbones to load" if len(network.modalities) > 1 else ""
            raise BundleError(f"{source.path}, backbones.{name}: {error.message}{hint}", error.problems) from error
        if summed := backbone.colours_summed(state):
            said.append(f"init: adapted {', '.join(summed)}: filters for red, green and blue summed to one for grey")
        if backbone.unpublished:
            said.append(f"init: not in the weights, and so new: backbones.{name}.{', '.join(backbone.unpublished)}")
    loaded = counted(len(state) - len(left), "tensor")
    return [f"init: loaded backbones.{name} ({loaded}) from {source.path}", *said], left


def _load_classifier(network: Network, left: Mapping[str, Tensor], path: Path) -> str:
    """Load the one linear layer that is left into the one head there is."""
    weights = [key for key, value in left.items() if key.endswith(".weight") and value.ndim == 2]
    if len(weights) != 1 or len(network.tasks) != 1:
        raise BundleError(
            f"{path}: a head is kept where weights and study have one each, not {len(weights)} and {len(network.tasks)}"
        )
    stem, task = weights[0].removesuffix(".weight"), network.tasks[0]
    wanted = f"heads.{task}.layers.out"
    load_into(network, {f"{wanted}.{k}": left[f"{stem}.{k}"] for k in ("weight", "bias")}, [f"heads.{task}"])
    return f"init: loaded {stem} as the head of '{task}'"


def _parts(keys: Sequence[str]) -> str:
    """Return the parts that keys belong to, with the number of tensors of each."""
    counts: dict[str, int] = {}
    for key in keys:
        part = ".".join(key.split(".")[:2])
        counts[part] = counts.get(part, 0) + 1
    return ", ".join(f"{part} ({counted(n, 'tensor')})" for part, n in counts.items())
