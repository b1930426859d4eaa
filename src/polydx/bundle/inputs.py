"""What callers hand over becomes samples: arrays, files, values of a table, any mix of the model's modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.bundle.batch import Batch
from polydx.bundle.tables import Values, is_empty, table_of
from polydx.errors import AxisError, PolydxError, Problem, ReadError, counted
from polydx.io.images import Window, count_frames, read_image
from polydx.io.source import FileBytes, Source
from polydx.io.spectra import read_spectra
from polydx.modalities import HeldImages
from polydx.params import unknown
from polydx.preprocessing.spectra import resample_onto
from polydx.recipes.store import Modality as About
from polydx.recipes.store import Model
from polydx.study import Modality, RowIndex, Spectra

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[Any]

SAME = 0.05
"""Of the least spacing: axes nearer than this at every point are not worth a warning."""


@dataclass
class Gathered:
    """Rows of every modality, sample by sample, while they are collected.

    Attributes:
        model: whose modalities they are.
        names: of the samples.
        spectra: modality -> (n, L) blocks on the model's axis.
        images: modality -> images with what they are called.
        values: modality -> rows of a table.
        lists: modality -> rows of each sample.
        warnings: position of a sample -> sentences.
    """

    model: Model
    names: list[str] = field(default_factory=list)
    spectra: dict[str, list[Floats]] = field(default_factory=dict)
    images: dict[str, list[tuple[str, Pixels]]] = field(default_factory=dict)
    values: dict[str, list[Values]] = field(default_factory=dict)
    lists: dict[str, list[list[int]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: dict[int, list[str]] = field(default_factory=dict)

    def add(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Take in one sample.

        Raises:
            ReadError, AxisError, SpectrumError: what it holds cannot be read, or does not fit.
        """
        strange = [key for key in inputs if key not in self.model.modalities]
        if strange:
            problems = [Problem(name, unknown("modality", key, self.model.modalities)) for key in strange]
            raise ReadError("a sample with what the model does not take", problems)
        told: list[str] = []
        rows: dict[str, int] = {}
        for modality, about in self.model.modalities.items():
            given = inputs.get(modality)
            if given is not None:
                rows[modality] = self._take(name, modality, about, given, told)
        if not any(rows.values()):
            raise ReadError(f"none of the model's modalities: give at least one of {', '.join(self.model.modalities)}")
        for modality in self.model.modalities:
            start, count = self.counts.get(modality, 0), rows.get(modality, 0)
            self.lists.setdefault(modality, []).append(list(range(start, start + count)))
            self.counts[modality] = start + count
        if told:
            self.warnings[len(self.names)] = told
        self.names.append(name)

    def _take(self, name: str, modality: str, about: About, given: Any, told: list[str]) -> int:
        if about.kind == "table":
            return self._take_values(modality, about, given, told)
        several = given if isinstance(given, list) and not _numbers(given) else [given]
        if about.kind == "images":
            frames = [(called, p) for one in several for called, p in images_of(one, about.window, name)]
            told += [w for w in dict.fromkeys(small(modality, p.shape, about.size) for _, p in frames) if w]
            self.images.setdefault(modality, []).extend(frames)
            return len(frames)
        blocks = [spectra_of(one, self.model.axes[modality], modality, told) for one in several]
        self.spectra.setdefault(modality, []).extend(blocks)
        return sum(map(len, blocks))

    def _take_values(self, modality: str, about: About, given: Any, told: list[str]) -> int:
        if not isinstance(given, Mapping):
            raise ReadError(
                f"'{modality}' is a table: give its columns and values as a mapping, not {type(given).__name__}"
            )
        if all(is_empty(value) for value in given.values()):
            return 0
        self.values.setdefault(modality, []).append(Values.checked(modality, about.columns, given, told))
        return 1

    def batch(self) -> Batch:
        """Return what was taken in."""
        modalities: dict[str, Modality] = {}
        for name, about in self.model.modalities.items():
            if self.counts.get(name):
                modalities[name] = self._modality(name, about)
        rows = {name: RowIndex.from_lists(self.lists[name]) for name in modalities}
        return Batch(pd.DataFrame({"sample": self.names}, dtype=object), modalities, rows, self.warnings)

    def _modality(self, name: str, about: About) -> Modality:
        if about.kind == "spectra":
            return Spectra(np.vstack(self.spectra[name]), self.model.axes[name])
        if about.kind == "table":
            return table_of(about.columns, self.values[name])
        called, pixels = zip(*self.images[name], strict=True)
        return HeldImages(tuple(map(Path, called)), (0,) * len(called), about.window, pixels)


def gathered(model: Model, samples: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> Batch:
    """Return samples that hold their measurements, or the files of them.

    Args:
        model: what will be asked.
        samples: modality -> a path, a file in memory, an array, or a list of these (a bag); for spectra, an array on
            the model's axis or (values, axis); for a table, a mapping from columns to values.
        names: of the samples; counted if not given.

    Raises:
        ReadError: listing everything that is wrong with any of them.
    """
    found, problems = Gathered(model), []
    for i, inputs in enumerate(samples):
        name = names[i] if names is not None else f"sample {i}"
        try:
            found.add(name, inputs)
        except PolydxError as error:
            problems += problems_of(name, error)
    if problems:
        raise ReadError(
            f"{counted(len(problems), 'problem')} in what is to be predicted; nothing was predicted", problems
        )
    if not found.names:
        raise ReadError("nothing to predict")
    return found.batch()


def problems_of(where: str, error: PolydxError) -> list[Problem]:
    """Return the problems of one sample or file under its name; those of a file of a sample name the file too."""
    found = [(p.what if p.where in ("", where) else f"{p.where}: {p.what}") for p in error.problems]
    return [Problem(where, what) for what in found or [error.message]]


def source_of(given: Any, name: str) -> Source | None:
    """Return a file to read; None if what was given is none."""
    if isinstance(given, bytes):
        return FileBytes(name, given)
    if isinstance(given, str):
        return Path(given)
    return given if isinstance(given, Path | FileBytes) else None


def spectra_of(given: Any, axis: NDArray[np.float64], modality: str, told: list[str]) -> NDArray[np.float32]:
    """Return (n, L) on the model's axis: of a file, (values, axis), or values that are on it already.

    Raises:
        ReadError, SpectrumError: no spectra.
        AxisError: the spectra do not cover the model's axis.
    """
    source = source_of(given, modality)
    if source is not None:
        values, own = read_spectra(source)
    else:
        values, own = _pair(given, axis, modality)
    return onto_axis(values, own, axis, modality, told)


def onto_axis(
    values: NDArray[np.float64], own: NDArray[np.float64], axis: NDArray[np.float64], modality: str, told: list[str]
) -> NDArray[np.float32]:
    """Return (n, L) on the model's axis; `told` gains that they were interpolated.

    Raises:
        AxisError: the spectra do not cover the model's axis.
    """
    if np.array_equal(own, axis):
        return values.astype(np.float32)
    if len(own) != len(axis) or np.abs(own - axis).max() > SAME * np.diff(axis).min():
        told.append(
            f"{modality}: measured at {len(own)} points, {own[0]:g} to {own[-1]:g} cm^-1; interpolated onto the "
            f"model's {len(axis)}, {axis[0]:g} to {axis[-1]:g}"
        )
    return resample_onto(values, own, axis).astype(np.float32)


def _pair(given: Any, axis: NDArray[np.float64], modality: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, own = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    try:
        rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
        points = axis if own is None else np.asarray(own, dtype=np.float64)
    except (TypeError, ValueError):
        raise ReadError(f"'{modality}' holds spectra: give a file, an array, or (values, axis)") from None
    if rows.ndim != 2 or points.ndim != 1 or rows.shape[1] != len(points):
        hint = "" if own is not None else "; give their own axis: (values, axis)"
        raise AxisError(f"spectra of shape {rows.shape} do not fit an axis of {points.size} points{hint}")
    if len(points) > 1 and points[0] > points[-1]:
        rows, points = rows[:, ::-1], points[::-1]
    if not np.isfinite(rows).all():
        raise ReadError("NaN or infinite intensities")
    return rows, points


def images_of(given: Any, window: Window, name: str) -> list[tuple[str, Pixels]]:
    """Return the frames of a file, or an image that is in memory, with what they are called.

    Raises:
        ReadError: no image.
    """
    source = source_of(given, name)
    if source is not None:
        count = count_frames(source)
        return [(str(source), read_image(source, i, window=window)) for i in range(count)]
    pixels = np.asarray(given)
    if pixels.ndim not in (2, 3) or pixels.dtype.kind not in "buif" or 0 in pixels.shape:
        raise ReadError(f"expected an image (H, W) or (H, W, C) of numbers, found {pixels.dtype} {pixels.shape}")
    return [(name, pixels)]


def small(modality: str, shape: tuple[int, ...], size: tuple[int, int] | None) -> str:
    """Return a warning for an image with fewer pixels than the model looks at; empty for others."""
    if size is None or (shape[0] >= size[0] and shape[1] >= size[1]):
        return ""
    own, wanted = f"{shape[0]} x {shape[1]}", f"{size[0]} x {size[1]}"
    return f"{modality}: the image has {own} pixels, fewer than the {wanted} the model looks at: it was enlarged"


def _numbers(given: list[Any]) -> bool:
    return bool(given) and all(isinstance(value, int | float | np.number) for value in given)
