"""Weights of networks on disk: safetensors, never pickle."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polydx.errors import BundleError, Problem, ReadError

CHECKPOINTS = (".ckpt", ".pt", ".pth", ".bin")
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs wrap the weights in a checkpoint."""

DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError),
    *(AssertionError, OverflowError, MemoryError, struct.error),
)
"""What torch's reader runs into, depending on which byte of a checkpoint is wrong."""


@dataclass(frozen=True)
class LoadReport:
    """What `load_into` did, by key.

    Attributes:
        loaded: keys of the module that now have the file's values.
        skipped: keys of the file that were not asked for or have no place in the module.
        mismatched: keys of both whose shapes differ; they keep the module's values.
        missing: keys of the module, among those asked for, that the file lacks.
    """

    loaded: tuple[str, ...]
    skipped: tuple[str, ...]
    mismatched: tuple[str, ...]
    missing: tuple[str, ...]


def save_weights(
    path: Path, weights: nn.Module | Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write weights as safetensors, whole or not at all.

    Args:
        path: the file, which is replaced if it exists.
        weights: a module, or a state dict.
        metadata: texts to keep with the weights, such as the manifest as JSON.
    """
    from safetensors.torch import save_file

    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, temporary, metadata=dict(metadata or {}))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights and their metadata.

    Args:
        path: .safetensors, or a checkpoint of plain tensors (.ckpt, .pt, .pth, .bin), whose metadata is empty.

    Raises:
        ReadError: the file is missing, broken, of another kind, or holds more than tensors.
    """
    if not path.is_file():
        raise ReadError(f"{path}: no such file of weights")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in CHECKPOINTS:
        return _read_checkpoint(path), {}
    raise ReadError(f"{path}: weights are read from .safetensors, {', '.join(CHECKPOINTS)}, not from {path.suffix!r}")


def load_into(
    module: nn.Module,
    source: Path | Mapping[str, Tensor],
    modules: Sequence[str] | None = None,
    strict: bool = True,
) -> LoadReport:
    """Load weights into a module, or into some of its parts.

    Args:
        module: what to load into, in place.
        source: a file for `read_weights`, or a state dict with the module's own keys.
        modules: names of the parts to load, such as `backbones.raman`; all of it where left out.
        strict: refuse shapes that differ and keys that the source lacks, instead of reporting them.

    Raises:
        BundleError: nothing fits; or, when strict, anything asked for is missing or of another shape. Nothing is
            loaded then.
        ReadError: the file cannot be read.
    """
    state = read_weights(source)[0] if isinstance(source, Path) else source
    own = module.state_dict()
    asked = [key for key in own if modules is None or any(key.startswith(f"{name}.") for name in modules)]
    mismatched = tuple(key for key in asked if key in state and state[key].shape != own[key].shape)
    missing = tuple(key for key in asked if key not in state)
    loaded = tuple(key for key in asked if key in state and key not in mismatched)
    problems = [Problem(k, f"expected {tuple(own[k].shape)}, found {tuple(state[k].shape)}") for k in mismatched]
    problems += [Problem(key, "missing from the weights") for key in missing]
    if not loaded or (strict and problems):
        raise BundleError("the weights do not fit this network", problems or [Problem(str(modules), "no such part")])
    module.load_state_dict({key: state[key] for key in loaded}, strict=False)
    placed = {*loaded, *mismatched}
    return LoadReport(loaded, tuple(key for key in state if key not in placed), mismatched, missing)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ReadError(f"{path}: not a whole safetensors file ({error}); copy or download it again") from error


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReadError(
            f"{path}: holds more than plain tensors, which could run code when read; save only its state dict"
        ) from error
    except DAMAGE as error:
        raise ReadError(f"{path}: not a whole torch checkpoint; copy or download it again") from error
    return _state_of(path, content)


def _state_of(path: Path, content: Any) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not state:
        raise ReadError(f"{path}: holds no state dict (names with tensors)")
    # DataParallel puts `module.` before every key.
    return {key.removeprefix("module."): value for key, value in state.items()}
