"""A chain of steps over images that are read when they are needed, and can be stored as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from polydx.errors import BundleError, ConfigError, ImageError, Problem, counted
from polydx.params import check_params, unknown
from polydx.preprocessing.images import STEPS, ImageStep
from polydx.preprocessing.images.base import Batch, Shape, as_images
from polydx.preprocessing.named import Described, name_and_params, plain_params
from polydx.preprocessing.spectra.base import raise_not_fitted

STATE_VERSION = 1
KIND = "images"
TOGETHER = 64
"""Images read and transformed at a time: what bounds memory, not the result."""

Pixels = NDArray[Any]


class Pictures(Protocol):
    """Images by row, in memory (a list, an array) or read when asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> Sequence[Pixels]:
        """Return neighbouring images, each (H, W) or (H, W, C)."""
        ...


class ImagePipeline:
    """Steps applied one after the other to images of any size, which have one size when the last step is done.

    Args:
        steps: (name, step) in order; names are those of `images.STEPS`.

    Attributes:
        shape: (H, W, C), or (D,) of features, of what comes out, after `fit`.
    """

    def __init__(self, steps: Sequence[tuple[str, ImageStep]]) -> None:
        self.steps = tuple(steps)
        self.shape: Shape | None = None

    def fit(self, pictures: Pictures) -> Self:
        """Fit each step on the training images as the steps before it leave them.

        Args:
            pictures: training images; they are read once for each step that learns.

        Raises:
            ImageError: there is none, they differ in shape where a step learns from them, or a step cannot work on
                some; the problems name the rows.
        """
        if len(pictures) == 0:
            raise ImageError("there are no images to fit the preprocessing on")
        for number, (_, step) in enumerate(self.steps):
            if step.fitted:
                step.learn(partial(self._batches, pictures, number))
            step.ready = True
        self.shape = next(iter(self._groups(pictures[:1], len(self.steps))))[1].shape[1:]
        return self

    def transform(self, pictures: Pictures) -> Batch:
        """Return (n, C, H, W) images, or (n, D) features, float32.

        Raises:
            ImageError: images end in another shape than the first of the training images did, or a step cannot work
                on some; the problems name the rows.
        """
        if self.shape is None:
            raise_not_fitted("ImagePipeline", KIND)
        channels_first = self.shape if len(self.shape) == 1 else (self.shape[2], *self.shape[:2])
        found = np.empty((len(pictures), *channels_first), dtype=np.float32)
        others: list[Problem] = []
        for rows, images in self._groups(pictures, len(self.steps)):
            if images.shape[1:] == self.shape:
                found[rows] = images if images.ndim == 2 else np.moveaxis(images, 3, 1)
            else:
                others += [Problem(f"row {row}", f"is {told(images.shape[1:])}") for row in rows]
        if others:
            expected = f"end in another shape than the first of the training images ({told(self.shape)})"
            raise ImageError(f"{len(others)} of {len(pictures)} images {expected}: {REMEDY}", others)
        return found

    def shape_out(self, shape: Shape) -> Shape:
        """Return the shape of what comes out for an image (H, W, C).

        Raises:
            ImageError: a step cannot work on such an image.
        """
        for _, step in self.steps:
            step.check_shape(shape)
            shape = step.shape_out(shape)
        return shape

    def levels(self) -> NDArray[np.float64] | None:
        """Return (2, C): what black (0) and white (1) became in each channel; None where that is not to be told."""
        if self.shape is None or len(self.shape) == 1:
            return None
        ends = np.repeat([[0.0], [1.0]], self.shape[2], axis=1)
        for name, step in self.steps:
            if name == "normalise":
                ends = (ends - step.mean_) / step.sd_  # type: ignore[attr-defined]
        return ends

    def _batches(self, pictures: Pictures, before: int) -> Iterator[Batch]:
        """Walk over the images as the first `before` steps leave them, all of one shape."""
        first: Shape | None = None
        for rows, images in self._groups(pictures, before):
            first = first or images.shape[1:]
            if images.shape[1:] != first:
                what = f"is {told(images.shape[1:])}, others are {told(first)}"
                name = self.steps[before][0]
                problems = [Problem(f"row {row}", what) for row in rows]
                raise ImageError(f"`{name}` learns from images of one shape: {REMEDY}", problems)
            yield images

    def _groups(self, pictures: Pictures, count: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Walk over the images after `count` steps, a batch of one shape at a time, with their rows."""
        for start in range(0, len(pictures), TOGETHER):
            read = dict(enumerate(map(np.asarray, pictures[start : start + TOGETHER]), start))
            kinds: dict[tuple[Shape, str], list[int]] = {}
            for row, image in read.items():
                kinds.setdefault((image.shape, image.dtype.str), []).append(row)
            for rows in kinds.values():
                numbers = np.array(rows, dtype=np.int64)
                try:
                    yield numbers, self._through(as_images(np.stack([read[row] for row in rows])), count)
                except ImageError as error:
                    raise _numbered(error, numbers) from None

    def _through(self, images: Batch, count: int) -> Batch:
        for _, step in self.steps[:count]:
            step.check_shape(images.shape[1:])
            images = step.run(images)
        return images

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted pipeline as data: what JSON can hold, and arrays by name.

        Raises:
            NotFittedError: it is not fitted.
        """
        if self.shape is None:
            raise_not_fitted("ImagePipeline", KIND)
        described = [{"name": name, "params": plain_params(step.get_params())} for name, step in self.steps]
        arrays = {
            f"{i}.{name}.{field}": np.ascontiguousarray(getattr(step, field))
            for i, (name, step) in enumerate(self.steps)
            for field in step.fitted
        }
        return {"kind": KIND, "version": STATE_VERSION, "shape": list(self.shape), "steps": described}, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ImagePipeline:
        """Return the fitted pipeline that `to_state` described.

        Raises:
            BundleError: another version, a missing array, or steps that do not exist.
        """
        if config.get("version") != STATE_VERSION:
            raise BundleError(
                f"the preprocessing has state version {config.get('version')!r}, this polydx reads {STATE_VERSION}"
            )
        try:
            pipeline = build_image_pipeline([(str(s["name"]), dict(s["params"])) for s in config["steps"]])
            for i, (name, step) in enumerate(pipeline.steps):
                for field in step.fitted:
                    setattr(step, field, np.ascontiguousarray(arrays[f"{i}.{name}.{field}"]))
                step.ready = True
            pipeline.shape = tuple(int(n) for n in config["shape"])
        except KeyError as error:
            raise BundleError(
                f"the stored preprocessing lacks {error}: the file is incomplete, export it again"
            ) from error
        except ConfigError as error:
            raise BundleError(f"the stored preprocessing is broken: {error.message}", error.problems) from error
        return pipeline


REMEDY = "bring all images to one shape with `resize` (or `letterbox`) and `to_rgb` (or `to_grey`)"


def build_image_pipeline(steps: Iterable[Described]) -> ImagePipeline:
    """Return an unfitted pipeline, after a check of all names and parameters.

    Args:
        steps: each a name, a (name, params) pair, or an object with `name` and `params`.

    Raises:
        ConfigError: lists every unknown step, unknown parameter and wrong value, and steps after one that makes
            features.
    """
    named = [name_and_params(step) for step in steps]
    problems = [p for name, params in named for p in _step_problems(name, params)]
    problems += _misplaced([name for name, _ in named if name in STEPS])
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in the preprocessing of images", problems)
    return ImagePipeline([(name, STEPS[name](**params)) for name, params in named])


def _misplaced(names: Sequence[str]) -> list[Problem]:
    """Return the steps that need images after one that leaves features."""
    maker = next((i for i, name in enumerate(names) if STEPS[name].makes_features), len(names))
    what = f"stands after {names[maker]}, which leaves features, no image" if maker < len(names) else ""
    return [Problem(name, what) for name in names[maker + 1 :] if not STEPS[name].takes_features]


def _step_problems(name: str, params: Mapping[str, Any]) -> list[Problem]:
    if name not in STEPS:
        return [Problem(name, unknown("step", name, STEPS))]
    return check_params(STEPS[name], params, name) or STEPS[name](**params).problems()


def told(shape: Shape) -> str:
    """Return a shape in words."""
    if len(shape) == 1:
        return counted(shape[0], "feature")
    return f"{shape[0]} x {shape[1]} pixels, {counted(shape[2], 'channel')}"


def _numbered(error: ImageError, rows: NDArray[np.int64]) -> ImageError:
    """Give problems of rows of a batch the rows of the modality; others are those of all rows of the batch."""
    found = []
    for problem in error.problems:
        kind, _, row = problem.where.partition(" ")
        found += (
            [Problem(f"row {rows[int(row)]}", problem.what)]
            if kind == "row"
            else [Problem(f"row {r}", f"{problem.where}: {problem.what}") for r in rows]
        )
    return ImageError(error.message, found)
