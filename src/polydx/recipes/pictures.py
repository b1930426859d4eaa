"""The images of a study on their way through preprocessing, named by their files where something is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ImageError, Problem
from polydx.io.decoded import decoded
from polydx.preprocessing.image_pipeline import ImagePipeline, build_image_pipeline
from polydx.study import Images, Study

if TYPE_CHECKING:
    from polydx.config import Step


@dataclass(frozen=True)
class Files:
    """The rows of a modality of images, read when asked for; what was decoded before is not decoded again."""

    images: Images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> list[NDArray[Any]]:
        return decoded(self.images.take(np.arange(len(self))[rows]))

    def named(self, row: int) -> str:
        """Return the file of a row, and its frame where it has several."""
        frame = self.images.frames[row]
        return f"{self.images.paths[row]}{f' frame {frame}' if frame else ''}"


def fit_images(study: Study, name: str, steps: Sequence[Step]) -> ImagePipeline:
    """Fit the steps on all images of a modality.

    Raises:
        ReadError: a file cannot be read.
        ImageError: images differ in shape, or a step cannot work on some; the problems name the files.
    """
    files = Files(study.images(name))
    with _by_file(files, name):
        return build_image_pipeline(steps).fit(files)


def transformed_images(study: Study, name: str, pipeline: ImagePipeline) -> NDArray[np.float32]:
    """Return (n, C, H, W), or (n, D), of all images of a modality; errors are those of `fit_images`."""
    files = Files(study.images(name))
    with _by_file(files, name):
        return pipeline.transform(files)


def shape_of_images(study: Study, name: str, pipeline: ImagePipeline) -> tuple[int, ...]:
    """Return (C, H, W), or (D,), that the first image of a modality will have after these steps.

    Raises:
        ReadError: its file cannot be read.
        ImageError: a step cannot work on it.
    """
    first = Files(study.images(name))[:1][0]
    shape = pipeline.shape_out(first.shape if first.ndim == 3 else (*first.shape, 1))
    return shape if len(shape) == 1 else (shape[2], *shape[:2])


@contextmanager
def _by_file(files: Files, name: str) -> Iterator[None]:
    """Name files where an error names rows."""
    try:
        yield
    except ImageError as error:
        rows = [p.where.removeprefix("row ") for p in error.problems]
        problems = [
            Problem(files.named(int(row)), p.what) if row.isdigit() else p
            for row, p in zip(rows, error.problems, strict=True)
        ]
        raise ImageError(f"'{name}': {error.message}", problems) from None
