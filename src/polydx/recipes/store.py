"""A trained model as a folder: model.json and weights.safetensors. Data only; loading it runs no code of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polydx.errors import BundleError
from polydx.io.atomic import replacing, write_json
from polydx.recipes.kinds import rebuild
from polydx.recipes.protocol import Fitted, Recipe
from polydx.study import Study, Task

SCHEMA = 1
MODEL, WEIGHTS = "model.json", "weights.safetensors"


@dataclass(frozen=True)
class Model:
    """A trained recipe, ready to predict.

    Attributes:
        fitted: the recipe as it was fitted.
        tasks: name -> task.
        axes: modality of spectra -> (L,) axis in cm^-1 that its spectra must be on.
        about: name of the study and recipe, whether it was simulated, counts, versions.
    """

    fitted: Fitted
    tasks: dict[str, Task]
    axes: dict[str, np.ndarray]
    about: dict[str, Any]


def save_model(folder: Path, fitted: Fitted, recipe: Recipe, study: Study, about: Mapping[str, Any]) -> None:
    """Write the folder; the description last, so that a folder that has one is whole."""
    from safetensors.numpy import save_file

    config, arrays = fitted.state()
    for name in recipe.modalities:
        arrays[f"axes/{name}"] = study.spectra(name).axis
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).unlink(missing_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, temporary)
    tasks = {name: task.to_dict() for name, task in study.tasks.items()}
    write_json(
        folder / MODEL,
        {"schema": SCHEMA, "about": dict(about), "tasks": tasks, "recipe": recipe.config, "model": config},
    )


def load_model(folder: Path) -> Model:
    """Return the model that `save_model` wrote.

    Raises:
        BundleError: no such folder, a part missing or broken, or written by a newer polydx.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for name in (MODEL, WEIGHTS):
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder} is no model: {name} is missing; "
                f"`polydx train STUDY.yaml --recipe NAME --out {folder}` writes one"
            )
    try:
        described = json.loads((folder / MODEL).read_text(encoding="utf-8"))
        arrays = load_file(folder / WEIGHTS)
    except (ValueError, SafetensorError) as error:
        raise BundleError(f"{folder} is broken ({error}): train the model again") from None
    if not isinstance(described, dict) or described.get("schema") != SCHEMA:
        found = described.get("schema") if isinstance(described, dict) else None
        raise BundleError(f"{folder / MODEL} has schema {found!r}, this polydx reads {SCHEMA}")
    try:
        tasks = {name: Task.from_dict(found) for name, found in described["tasks"].items()}
        axes = {name.removeprefix("axes/"): arrays.pop(name) for name in list(arrays) if name.startswith("axes/")}
        fitted = rebuild(described["model"], arrays)
    except KeyError as error:
        raise BundleError(f"{folder} lacks {error}: the model is incomplete, train it again") from None
    return Model(fitted, tasks, axes, described["about"])
