"""Weights to start from: found, read, and held against the recipe's axis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from polydx.config import IMAGENET, InitConfig, NetworkConfig
from polydx.errors import AxisError, BundleError, ConfigError, Problem, ReadError
from polydx.models.options import known
from polydx.preprocessing.spectra import resample_onto
from polydx.recipes.imagenet import ADDRESS, NAMES, checksum_in, imagenet_file
from polydx.recipes.network_fitted import FittedNetwork
from polydx.recipes.network_inputs import AS_IT_IS, Scale, channel_steps
from polydx.recipes.provenance import Seen
from polydx.recipes.remote import check_sha256, fetch_weights, hub_address
from polydx.training.weights import read_weights

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
        nobody: why they have seen no patients, where polydx did not write them and that is known.
    """

    path: Path
    state: Mapping[str, Tensor]
    fitted: FittedNetwork | None = None
    nobody: str = ""

    @property
    def seen(self) -> Seen:
        """Whom the weights have seen, as far as they say."""
        manifest = None if self.fitted is None else self.fitted.manifest
        if manifest is None and self.nobody:
            return Seen()
        return Seen(unknown=(str(self.path),)) if manifest is None else manifest.seen

    def digest(self) -> str:
        """Return a hash of the weights."""
        found = hashlib.sha256()
        for key, value in sorted(self.state.items()):
            found.update(key.encode() + value.contiguous().numpy().tobytes())
        return found.hexdigest()

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


def read_source(init: InitConfig, config: NetworkConfig | None = None) -> Source:
    """Read the weights of a run folder, a model folder, a file, an address, or of ImageNet.

    Args:
        init: what to read.
        config: of the recipe, whose backbone says which weights of ImageNet are meant.

    Raises:
        ConfigError: a run folder holds several weights, and it is not said which; ImageNet has none for the backbone;
            or `patients: none` is declared for weights that say whom they have seen.
        ReadError, BundleError: the weights are not there, not those of the checksum, broken, or those of another kind
            of model.
    """
    path = _located(init, config)
    found = _read(path, init)
    if found.fitted is not None and init.patients == "none":
        raise ConfigError(f"{path} says itself whom it has seen; leave out `patients: none`")
    return replace(found, nobody=_nobody(path, init))


def _located(init: InitConfig, config: NetworkConfig | None) -> Path:
    """Return the file or folder, brought here and verified where need be."""
    if isinstance(init.source, Path):
        if init.sha256 is not None:
            check_sha256(init.source, init.sha256)
        return init.source
    if init.source == IMAGENET:
        name = imagenet_file(config, init.modules)
        return fetch_weights(ADDRESS + name, checksum_in(name))
    address = hub_address(init.source) if init.source.startswith("hf:") else init.source
    return fetch_weights(address, init.sha256 or "")


def _nobody(path: Path, init: InitConfig) -> str:
    """Return why weights that do not say so have seen no patients; empty where that is not known."""
    if init.source == IMAGENET or _is_of_imagenet(path):
        return f"{path.name} was fitted on ImageNet, which holds no patients"
    return f"{path.name} has seen no patients, says `patients: none`" if init.patients == "none" else ""


def _is_of_imagenet(path: Path) -> bool:
    """Tell whether a file is one that torchvision publishes, by its name and its checksum."""
    if path.name not in NAMES:
        return False
    try:
        check_sha256(path, checksum_in(path.name))
    except ReadError:
        return False
    return True


def _read(path: Path, init: InitConfig) -> Source:
    if path.suffix == ".zip":
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
    source: Source, init: InitConfig, config: NetworkConfig, name: str, own: Axis | None, study: Axis | None
) -> list[Problem]:
    """Return what keeps the weights' axis and the recipe's from being the same.

    Args:
        source: the weights.
        init: its section.
        config: of the recipe.
        name: of the modality.
        own: (L,) what the recipe's steps give, None where it is no axis.
        study: (K,) of the study's spectra; None for images.
    """
    theirs = source.axis(name, config)
    if study is None or theirs is None or same_axis(theirs, own):
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
