"""A trained model as parts of a bundle: a description, and arrays. Data only; loading it runs no code of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from polydx.errors import AxisError, BundleError, PolydxError, Problem
from polydx.io.images import Window
from polydx.io.parts import REMEDY, Parts, as_json
from polydx.io.stored import check_stored, check_tasks
from polydx.preprocessing.spectra.base import check_axis
from polydx.recipes.conformal import ConformalScores
from polydx.recipes.domain import Domain, fit_domain
from polydx.recipes.kinds import Networks, rebuild
from polydx.recipes.protocol import Fitted, Recipe
from polydx.recipes.provenance import concealing, key_of
from polydx.study import Images, Spectra, Study, Table, Task, Unit

if TYPE_CHECKING:
    import pandas as pd

MODEL, ARRAYS, WEIGHTS = "model.json", "arrays.safetensors", "weights.safetensors"
NETWORK_WEIGHTS = re.compile(r"(members/[^/]+/\d+/|cuts/[^/]+/)*weights/")
"""How the names of the weights of networks begin: a runtime with graphs needs none of them."""
MOST_SIDE = 10_000
"""The largest whole number that a step of the preprocessing may be given: pixels of a side, points of a window."""
MOST_REACH, LEAST_STEP = 1e6, 1e-2
"""In cm^-1: how far an axis to resample onto may reach, and how fine it may be."""
_TUNED = dict[str, dict[str, float]]
_POSITIVE = dict[str, dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]]
Score: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class ColumnOf(BaseModel):
    """A column of a table: what it is called, holds, and held in training."""

    name: str
    kind: str = Field(pattern="number|ordinal|category")
    unit: str = ""
    low: float | None = None
    high: float | None = None
    categories: list[str] = Field(default_factory=list)


class Modality(BaseModel):
    """One modality that the model takes."""

    kind: str = Field(pattern="spectra|images|table")
    window: Window = None
    size: tuple[int, int] | None = None
    columns: list[ColumnOf] = Field(default_factory=list)


class _Described(BaseModel):
    """What model.json must hold."""

    about: dict[str, Any]
    unit: Unit
    tasks: dict[str, Task] = Field(min_length=1)
    model: dict[str, Any]
    modalities: dict[str, Modality] = Field(min_length=1)
    sets: dict[str, dict[str, list[Score]]] | None = None


@dataclass(frozen=True)
class Model:
    """A trained recipe, ready to predict.

    Attributes:
        fitted: the recipe as it was fitted.
        tasks: name -> task.
        axes: modality of spectra -> (L,) axis in cm^-1 that its spectra must be on.
        about: name of the study and recipe, whether it was simulated, counts, versions.
        unit: what gets one answer: a `sample`, or a `patient` with all their rows.
        modalities: name -> what it is.
        sets: what prediction sets are made of, where the bundle has it.
        domains: modality of spectra -> what training spectra look like.
    """

    fitted: Fitted
    tasks: dict[str, Task]
    axes: dict[str, NDArray[np.float64]]
    about: dict[str, Any]
    unit: Unit
    modalities: dict[str, Modality]
    sets: ConformalScores | None = None
    domains: dict[str, Domain] = field(default_factory=dict)


def describe(
    fitted: Fitted, recipe: Recipe, study: Study, about: Mapping[str, Any], sets: ConformalScores | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return a fitted recipe as a description that JSON can hold, and arrays by name; patients are told by hashes.

    Args:
        fitted: the recipe after its fit.
        recipe: names the modalities.
        study: what it was fitted on.
        about: name of the study and recipe, counts, versions.
        sets: what prediction sets are made of.
    """
    config, arrays = fitted.state()
    used = {name: study.modalities[name] for name in recipe.modalities}
    arrays |= {f"axes/{name}": found.axis for name, found in used.items() if isinstance(found, Spectra)}
    modalities = {name: _modality(study, name, config).model_dump() for name in used}
    tasks = {name: task.to_dict() for name, task in study.tasks.items()}
    told: dict[str, Any] = {"about": dict(about), "unit": study.unit, "tasks": tasks, "modalities": modalities}
    told["sets"] = None if sets is None else sets.to_json()
    for name in (name for name, found in used.items() if isinstance(found, Spectra)):
        domain = fit_domain(study, name)
        arrays |= {} if domain is None else {f"domain/{name}/{k}": v for k, v in domain.arrays().items()}
    return {**told, "recipe": recipe.config, "model": concealing(config, key_of(study))}, arrays


def packed(described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """Return the parts of a bundle that hold a model: weights of networks apart, which only torch needs."""
    from safetensors.numpy import save

    kept = {k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())}
    weights = {k: v for k, v in kept.items() if NETWORK_WEIGHTS.match(k)}
    parts = {MODEL: as_json(described), ARRAYS: save({k: v for k, v in kept.items() if k not in weights})}
    return parts | ({WEIGHTS: save(weights)} if weights else {})


def load_model(path: Path | Parts, networks: Networks | None = None) -> Model:
    """Return the model of a bundle.

    Args:
        path: the bundle.
        networks: makes the networks in it of their descriptions; with torch, from their weights, if not given.

    Raises:
        BundleError: no bundle, a part missing, broken or tampered with, or written by a newer polydx.
    """
    parts = path if isinstance(path, Parts) else Parts(path)
    where = Path(f"{parts.path}: {MODEL}")
    checked = check_stored(parts.json(MODEL), _Described, where, BundleError, REMEDY)
    tasks = check_tasks(checked.tasks, where, BundleError, REMEDY)
    arrays = parts.arrays(ARRAYS)
    if networks is None and WEIGHTS in parts.sizes:
        arrays |= parts.arrays(WEIGHTS)
    axes = _take_axes(arrays, f"{parts.path}: {ARRAYS}")
    lacking = [name for name, about in checked.modalities.items() if about.kind == "spectra" and name not in axes]
    if lacking:
        raise BundleError(f"{parts.path}: no axis of {', '.join(lacking)}: {REMEDY}")
    domains = _take_domains(arrays, axes, f"{parts.path}: {ARRAYS}")
    fitted = _rebuilt(checked.model, arrays, where, networks)
    sets = None if checked.sets is None else ConformalScores.from_json(checked.sets)
    return Model(fitted, tasks, axes, checked.about, checked.unit, checked.modalities, sets, domains)


def _take_axes(arrays: dict[str, NDArray[Any]], where: str) -> dict[str, NDArray[np.float64]]:
    """Take the axes out of the arrays."""
    axes = {}
    for key in [key for key in arrays if key.startswith("axes/")]:
        try:
            axes[key.removeprefix("axes/")] = check_axis(arrays.pop(key))
        except AxisError as error:
            raise BundleError(f"{where}: '{key}' is broken ({error.message}): {REMEDY}") from None
    return axes


def _take_domains(
    arrays: dict[str, NDArray[Any]], axes: Mapping[str, NDArray[np.float64]], path: str
) -> dict[str, Domain]:
    """Take what training spectra look like out of the arrays."""
    taken = {key: arrays.pop(key) for key in [key for key in arrays if key.startswith("domain/")]}
    found: dict[str, Domain] = {}
    for name, axis in axes.items():
        own = {k.removeprefix(f"domain/{name}/"): v for k, v in taken.items() if k.startswith(f"domain/{name}/")}
        try:
            found |= {name: Domain.from_arrays(own, len(axis))} if own else {}
        except (ValueError, KeyError) as error:
            raise BundleError(f"{path}: the training domain of '{name}' is broken ({error}): {REMEDY}") from None
    return found


def _rebuilt(
    described: dict[str, Any], arrays: dict[str, NDArray[Any]], path: Path, networks: Networks | None
) -> Fitted:
    """Return the fitted recipe; what its own kind trips over is a part that is missing or not what it should be."""
    where = f"{path}: the description under 'model'"
    giant = list(_giants(described))
    if giant:
        raise BundleError(f"{where} asks for more memory than a model needs: {REMEDY}", giant)
    try:
        fitted = rebuild(described, arrays, networks)
    except KeyError as error:
        raise BundleError(f"{where} or its arrays lack {error}: the model is incomplete, {REMEDY}") from None
    except PolydxError as error:
        raise BundleError(f"{where} is broken ({error.message}): {REMEDY}", error.problems) from None
    except (TypeError, ValueError, AttributeError, LookupError, RuntimeError, ArithmeticError) as error:
        raise BundleError(f"{where} is broken ({error}): {REMEDY}") from None
    check_stored({"model.thresholds": fitted.thresholds}, _TUNED, path, BundleError, REMEDY)
    check_stored({"model.temperatures": fitted.temperatures}, _POSITIVE, path, BundleError, REMEDY)
    return fitted


def _giants(config: Any) -> Iterator[Problem]:
    """Yield parameters of preprocessing steps whose size alone would take all memory."""
    if isinstance(config, Mapping):
        params = config.get("params")
        if isinstance(params, Mapping) and isinstance(config.get("name"), str):
            for key, value in params.items():
                for number in value if isinstance(value, list) else [value]:
                    if _is_giant(key, number):
                        yield Problem(f"{config['name']}.{key}"[:80], f"is {number}")
    for part in config.values() if isinstance(config, Mapping) else config if isinstance(config, list) else ():
        yield from _giants(part)


def _is_giant(key: str, number: Any) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    if key in ("start", "stop"):
        return not abs(number) <= MOST_REACH
    if key == "step":
        return not abs(number) >= LEAST_STEP
    return (
        isinstance(number, int) and abs(number) > MOST_SIDE and key in ("size", "window", "height", "width", "padding")
    )


def _modality(study: Study, name: str, config: Mapping[str, Any]) -> Modality:
    """Return what is to be known of a modality when new measurements come."""
    found = study.modalities[name]
    if isinstance(found, Images):
        shape = _shape_of(config, name)
        return Modality(kind="images", window=found.window, size=shape)
    if isinstance(found, Table):
        units = getattr(found, "units", {})
        return Modality(kind="table", columns=[_column(found.frame[c], units.get(c, "")) for c in found.frame])
    return Modality(kind="spectra")


def _shape_of(config: Any, name: str) -> tuple[int, int] | None:
    """Return (H, W) that images of a modality are brought to, as far as the preprocessing says."""
    if isinstance(config, Mapping):
        own = config.get(name)
        if isinstance(own, Mapping) and own.get("kind") == Images.kind and len(own.get("shape", ())) == 3:
            return (own["shape"][0], own["shape"][1])
        config = list(config.values())
    found = (_shape_of(part, name) for part in config) if isinstance(config, list) else ()
    return next((shape for shape in found if shape is not None), None)


def _column(values: pd.Series, unit: str) -> ColumnOf:
    import pandas as pd

    name = str(values.name)
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        return ColumnOf(name=name, kind="ordinal", unit=unit, categories=[str(c) for c in values.dtype.categories])
    if pd.api.types.is_numeric_dtype(values.dtype):
        known = values.to_numpy(dtype=np.float64)
        known = known[np.isfinite(known)]
        ends = (_rounded(known.min(), -1), _rounded(known.max(), 1)) if len(known) else (None, None)
        return ColumnOf(name=name, kind="number", unit=unit, low=ends[0], high=ends[1])
    return ColumnOf(name=name, kind="category", unit=unit, categories=sorted(set(values.dropna().astype(str))))


def _rounded(value: float, way: int) -> float:
    """Return a number of two digits at or beyond `value`: the extremes are those of single patients."""
    if value == 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
    return float((np.floor(value / step) if way < 0 else np.ceil(value / step)) * step)
