"""A trained model as a folder: model.json and weights.safetensors. Data only; loading it runs no code of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from polydx.errors import AxisError, BundleError, PolydxError
from polydx.io.atomic import check_writable, replacing, write_json
from polydx.io.images import Window
from polydx.io.stored import check_stored, check_tasks
from polydx.preprocessing.spectra.base import check_axis
from polydx.recipes.inputs import study_axes
from polydx.recipes.kinds import rebuild
from polydx.recipes.protocol import Fitted, Recipe
from polydx.study import Images, Study, Task, Unit

SCHEMA = 1
MODEL, WEIGHTS = "model.json", "weights.safetensors"
REMEDY = "train the model again"
_THRESHOLDS = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Model:
    """A trained recipe, ready to predict.

    Attributes:
        fitted: the recipe as it was fitted.
        tasks: name -> task.
        axes: modality of spectra -> (L,) axis in cm^-1 that its spectra must be on.
        images: modality of images -> window of its DICOM files.
        about: name of the study and recipe, whether it was simulated, counts, versions.
        unit: what gets one answer: a `sample`, or a `patient` with all their spectra.
    """

    fitted: Fitted
    tasks: dict[str, Task]
    axes: dict[str, np.ndarray]
    about: dict[str, Any]
    unit: Unit
    images: dict[str, Window] = field(default_factory=dict)


class _Described(BaseModel):
    """What model.json must hold."""

    about: dict[str, Any]
    unit: Unit
    tasks: dict[str, Task] = Field(min_length=1)
    model: dict[str, Any]
    images: dict[str, Window] = Field(default_factory=dict)


def save_model(folder: Path, fitted: Fitted, recipe: Recipe, study: Study, about: Mapping[str, Any]) -> None:
    """Write the folder; the description last, so that a folder that has one is whole."""
    from safetensors.numpy import save

    config, arrays = fitted.state()
    axes = study_axes(study, recipe.modalities)
    arrays |= {f"axes/{name}": axis for name, axis in axes.items() if axis is not None}
    check_writable(folder / MODEL)
    (folder / MODEL).unlink(missing_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    tasks = {name: task.to_dict() for name, task in study.tasks.items()}
    described = {"about": dict(about), "unit": study.unit, "tasks": tasks, "recipe": recipe.config, "model": config}
    images = {name: found.window for name in axes if isinstance(found := study.modalities[name], Images)}
    write_json(folder / MODEL, {"schema": SCHEMA, **described, "images": images})


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
    except (OSError, ValueError, SafetensorError) as error:
        raise BundleError(f"{folder} is broken ({error}): {REMEDY}") from None
    if not isinstance(described, dict) or described.get("schema") != SCHEMA:
        found = described.get("schema") if isinstance(described, dict) else None
        raise BundleError(f"{folder / MODEL} has schema {found!r}, this polydx reads {SCHEMA}")
    checked = check_stored(described, _Described, folder / MODEL, BundleError, REMEDY)
    tasks = check_tasks(checked.tasks, folder / MODEL, BundleError, REMEDY)
    axes = _take_axes(arrays, folder / WEIGHTS)
    fitted = _rebuilt(checked.model, arrays, folder)
    return Model(fitted, tasks, axes, checked.about, checked.unit, checked.images)


def _take_axes(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[np.float64]]:
    """Take the axes out of the arrays."""
    axes = {}
    for key in [key for key in arrays if key.startswith("axes/")]:
        try:
            axes[key.removeprefix("axes/")] = check_axis(arrays.pop(key))
        except AxisError as error:
            raise BundleError(f"{path}: '{key}' is broken ({error.message}): {REMEDY}") from None
    return axes


def _rebuilt(described: dict[str, Any], arrays: dict[str, NDArray[Any]], folder: Path) -> Fitted:
    """Return the fitted recipe; what its own kind trips over is a part that is missing or not what it should be."""
    where = f"{folder / MODEL}: the description under 'model'"
    try:
        fitted = rebuild(described, arrays)
    except KeyError as error:
        raise BundleError(f"{where} or {WEIGHTS} lacks {error}: the model is incomplete, {REMEDY}") from None
    except PolydxError as error:
        raise BundleError(f"{where} is broken ({error.message}): {REMEDY}", error.problems) from None
    except (TypeError, ValueError, AttributeError, LookupError, RuntimeError) as error:
        raise BundleError(f"{where} is broken ({error}): {REMEDY}") from None
    check_stored({"model.thresholds": fitted.thresholds}, _THRESHOLDS, folder / MODEL, BundleError, REMEDY)
    return fitted
