"""Weights to start from: found, read, held against the recipe's axis, and loaded into its network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from polydx.config import InitConfig, NetworkConfig
from polydx.errors import AxisError, BundleError, ConfigError, Problem, counted
from polydx.models.backbones import Backbone
from polydx.models.network import Network
from polydx.models.options import known
from polydx.preprocessing.spectra import resample_onto
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import AS_IT_IS, Scale, channel_steps
from polydx.recipes.provenance import Seen
from polydx.training.weights import load_into, read_weights

Axis = NDArray[np.float64]

CLOSE = 1e-6
"""In cm^-1: axes nearer than this at every point are the same."""


@dataclass(frozen=True)
class Source:
    """Weights as they were found.

    Attributes:
        path: the file or folder.
        state: name -> tensor.
        fitted: what they belong to, where polydx wrote them.
    """

    path: Path
    state: Mapping[str, Tensor]
    fitted: FittedNetwork | None = None

    @property
    def seen(self) -> Seen:
        """Whom the weights have seen, as far as they say."""
        manifest = None if self.fitted is None else self.fitted.manifest
        return Seen(unknown=(str(self.path),)) if manifest is None else manifest.seen

    def modality(self, name: str, config: NetworkConfig) -> str | None:
        """Return what the source calls the modality `name`: the same, or the only one where both have one."""
        own = [] if self.fitted is None else list(self.fitted.network.modalities)
        if name in own:
            return name
        return own[0] if len(own) == len(config.backbones) == 1 else None

    def axis(self, name: str, config: NetworkConfig) -> Axis | None:
        """Return the axis that the weights know for a modality, if they say."""
        theirs = self.modality(name, config)
        return None if self.fitted is None or theirs is None else self.fitted.inputs.axes.get(theirs)

    def scales(self, config: NetworkConfig, channels: Mapping[str, int]) -> dict[str, list[Scale]]:
        """Return the scales the weights were trained at; inputs stay as they are where the source does not say."""
        found = {}
        for name, count in channels.items():
            theirs = self.modality(name, config)
            own = [] if self.fitted is None or theirs is None else self.fitted.inputs.scales[theirs]
            found[name] = list(own) if len(own) == count else [AS_IT_IS] * count
        return found


def read_source(init: InitConfig) -> Source:
    """Read the weights of a run folder, a model folder or a file.

    Raises:
        ConfigError: a run folder holds several weights, and it is not said which.
        ReadError, BundleError: the weights are not there, broken, or those of another kind of model.
    """
    path = init.source
    if (path / "model.json").is_file():
        from polydx.recipes.store import load_model

        return _of_fitted(path, load_model(path).fitted)
    if path.is_dir():
        path = _of_run(path, init)
    state, metadata = read_weights(path)
    if "model" not in metadata:
        return Source(path, state)
    from polydx.recipes.kinds import rebuild

    return _of_fitted(path, rebuild(json.loads(metadata["model"]), {k: v.numpy() for k, v in state.items()}))


def _of_fitted(path: Path, fitted: object) -> Source:
    network = getattr(fitted, "network", None)
    fitted = network if isinstance(network, FittedNetwork) else fitted  # of a recipe of kind `features`
    if not isinstance(fitted, FittedNetwork):
        raise BundleError(f"{path} holds no network, so there are no weights to start from")
    return Source(path, fitted.network.state_dict(), fitted)


def _of_run(folder: Path, init: InitConfig) -> Path:
    wanted = {"recipe": init.recipe, "seed": init.seed, "fold": init.fold}
    found = [
        path
        for path in sorted((folder / "weights").glob("*/*.safetensors"))
        if init.recipe in (None, path.parent.name)
        and (init.seed is None or path.stem.startswith(f"seed-{init.seed}_"))
        and (init.fold is None or path.stem.endswith(f"_fold-{init.fold:03d}"))
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{p.parent.name}/{p.stem}" for p in found[:5])
    if found:
        missing = ", ".join(f"`{key}`" for key, value in wanted.items() if value is None)
        raise ConfigError(f"{folder} holds {len(found)} weights ({listed} ...): say which with {missing}")
    raise ConfigError(f"{folder} holds no such weights: it is neither a model folder nor a run with a network")


def axis_problems(
    source: Source, init: InitConfig, config: NetworkConfig, name: str, own: Axis | None, study: Axis
) -> list[Problem]:
    """Return what keeps the weights' axis and the recipe's from being the same.

    Args:
        source: the weights.
        init: its section.
        config: of the recipe.
        name: of the modality.
        own: (L,) what the recipe's steps give, None where it is no axis.
        study: (K,) of the study's spectra.
    """
    theirs = source.axis(name, config)
    if theirs is None or same_axis(theirs, own):
        return []
    if init.axis == "refuse":
        what = (
            f"the weights know {_told(theirs)}, this recipe gives {_told(own)} of '{name}': "
            "set `axis: resample`, or preprocess alike"
        )
        return [Problem("init.axis", what)]
    try:
        resample_onto(np.zeros((1, len(study))), study, theirs)
    except AxisError as error:
        return [Problem("init.axis", f"the study does not cover the weights' axis of '{name}': {error.message}")]
    steps = channel_steps(config)[name]
    changing = [s.name for listed in steps for s in listed if s.name in ("crop", "resample")]
    if changing:
        return [Problem("init.axis", f"spectra go onto the weights' axis first; leave out the step {changing[0]}")]
    return []


def axes_to_take(
    source: Source, init: InitConfig, config: NetworkConfig, own: Mapping[str, Axis | None]
) -> dict[str, Axis]:
    """Return modality -> axis to resample onto first, for those whose own axis is another than the weights'."""
    if init.axis != "resample":
        return {}
    theirs = {name: source.axis(name, config) for name in config.backbones}
    return {name: axis for name, axis in theirs.items() if axis is not None and not same_axis(axis, own[name])}


def same_axis(one: Axis, other: Axis | None) -> bool:
    """Tell whether two axes are the same but for rounding."""
    return other is not None and one.shape == other.shape and bool(np.abs(one - other).max() < CLOSE)


def _told(axis: Axis | None) -> str:
    return "no axis" if axis is None else f"{len(axis)} points {axis[0]:g}-{axis[-1]:g} cm^-1"


def load_source(network: Network, source: Source, init: InitConfig, config: NetworkConfig) -> list[str]:
    """Load the weights into the network, in place.

    What is missing or of another shape stays as it is, and is told; with `head: mapped`, where nothing is trained,
    everything has to fit.

    Returns:
        Sentences that say what was loaded, left aside and of another shape.

    Raises:
        BundleError: nothing fits, or a head to keep does not.
    """
    mapped = config.head == "mapped"
    modules = ["backbones", "necks", "fusion", "heads"] if mapped else list(init.modules)
    if init.keep_head and "heads" not in modules:
        modules.append("heads")
    if not any(key.startswith("backbones.") for key in source.state):
        return _load_published(network, source, modules)
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
            left = _load_backbone(network.backbone(name), source.state)
            said.append(
                f"init: loaded backbones.{name} ({counted(len(source.state) - len(left), 'tensor')}) from {source.path}"
            )
    if not said:
        raise BundleError(f"{source.path} holds a backbone alone; `modules` asks for {', '.join(modules)}")
    if "heads" not in modules:
        return [*said, f"init: left aside {', '.join(left)}"] if left else said
    return [*said, _load_classifier(network, {key: source.state[key] for key in left}, source.path)]


def _load_backbone(backbone: Backbone, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Load weights under this backbone's own names, or the published ones; return the keys left aside."""
    if backbone.state_dict().keys() <= state.keys():
        return load_into(backbone, state).skipped
    return backbone.load_published(state)


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


def source_head(source: Source, config: NetworkConfig) -> dict[str, dict[str, Any]]:
    """Return the one head of the source whose classes are mapped: its task, and keyword arguments of `Head`.

    Raises:
        ConfigError: the weights have several heads and `init.head` names none of them, or they have no head.
    """
    if source.fitted is None:
        rows = [len(value) for key, value in source.state.items() if key.endswith(".weight") and value.ndim == 2]
        heads = {"source": {"classes": rows[0]}} if len(rows) == 1 else {}
    else:
        heads = dict(source.fitted.plan["heads"])
    wanted = None if config.init is None else config.init.head
    if wanted is not None:
        known(wanted, heads, "head of the weights")
        return {wanted: heads[wanted]}
    if len(heads) != 1:
        what = f"several heads ({', '.join(heads)}): name one with `init: {{head: ...}}`" if heads else "no head to map"
        raise ConfigError(f"{source.path} has {what}")
    return heads


def _parts(keys: Sequence[str]) -> str:
    """Return the parts that keys belong to, with the number of tensors of each."""
    counts: dict[str, int] = {}
    for key in keys:
        part = ".".join(key.split(".")[:2])
        counts[part] = counts.get(part, 0) + 1
    return ", ".join(f"{part} ({counted(n, 'tensor')})" for part, n in counts.items())
