"""What every step over images shares: pixels brought to one scale, checked parameters, fitted arrays to be stored.

Steps work on batches of images of one size. Whole numbers are brought to 0 (black) to 1 (white) by their type, so that
8 and 16 bit mean the same; signed numbers and floats, whose scale is the scanner's own, stay as they are.

Shapes: `B` images of a batch, `H, W` image size, `C` channels, `D` features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polydx.errors import ImageError, Problem
from polydx.params import check_params
from polydx.preprocessing.parameters import Parameters
from polydx.preprocessing.spectra.base import raise_not_fitted, raise_problems

Batch: TypeAlias = NDArray[np.float32]
"""(B, H, W, C), or (B, D) after a step that makes features."""
Shape: TypeAlias = tuple[int, ...]
"""(H, W, C) of one image, or (D,) of its features."""
Batches: TypeAlias = Callable[[], Iterable[Batch]]
"""A walk over all training images, batch by batch; may be taken more than once."""

GREY, RGB = 1, 3


class ImageStep(Parameters):
    """A transformer of images (B, H, W, C).

    A subclass stores its parameters in `__init__` under their own names, checks nothing there, and overrides `apply`
    and, where they differ from what goes in, `shape_out`, and, if it learns anything, `learn` and `fitted`.
    """

    fitted: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that `fit` learns; with the parameters they are the whole state of a step."""
    in_range: ClassVar[bool] = False
    """Whether the step takes pixels from 0 to 1 only."""
    makes_features: ClassVar[bool] = False
    """Whether what comes out are features (B, D), no images."""
    takes_features: ClassVar[bool] = False
    """Whether it works on such features too."""
    ready: bool = False
    """Whether it is fitted."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn what the step needs from training images of one size.

        Args:
            X: (B, H, W) or (B, H, W, C) training images of any type of number.
            y: not looked at.

        Raises:
            ConfigError: a parameter is of the wrong type or out of range.
            ImageError: the images are not finite, or the step cannot work on them.
        """
        del y
        self.check()
        images = as_images(X)
        self.check_shape(images.shape[1:])
        self.learn(lambda: [images])
        self.ready = True
        return self

    def transform(self, X: ArrayLike) -> Batch:
        """Return the transformed images, float32.

        Args:
            X: (B, H, W) or (B, H, W, C) images of any type of number.

        Raises:
            ImageError: as in `fit`.
        """
        if not self.ready:
            raise_not_fitted(type(self).__name__, "images")
        images = as_images(X)
        self.check_shape(images.shape[1:])
        return self.run(images)

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Batch:
        """Fit on the images and return them transformed."""
        return self.fit(X, y).transform(X)

    def run(self, images: Batch) -> Batch:
        """Return `apply` of the images, after a look at their range where the step has one."""
        if self.in_range:
            outside = ~np.asarray((images >= 0).all(axis=(1, 2, 3)) & (images <= 1).all(axis=(1, 2, 3)))
            what = f"{type(self).__name__} takes pixels from 0 to 1: put the step `rescale` before it"
            refuse_images(outside, what)
        return self.apply(images)

    def learn(self, batches: Batches) -> None:
        """Learn nothing: right for steps that treat each image on its own."""

    def apply(self, images: Batch) -> Batch:
        """Transform (B, H, W, C)."""
        raise NotImplementedError

    def shape_out(self, shape: Shape) -> Shape:
        """Return the shape of what comes out for an image of this shape (H, W, C)."""
        return shape

    def misfits(self, shape: Shape) -> list[str]:
        """Return what keeps the step from working on images of this shape (H, W, C)."""
        del shape
        return []

    def check_shape(self, shape: Shape) -> None:
        """Raise an ImageError where the step cannot work on images of this shape (H, W, C)."""
        found = self.misfits(shape)
        if found:
            raise ImageError(f"{type(self).__name__}: {found[0]}", [Problem(type(self).__name__, f) for f in found])

    def problems(self) -> list[Problem]:
        """Return what is wrong with the parameters taken together."""
        return []

    def check(self) -> None:
        """Raise a ConfigError that lists all parameters of a wrong type or out of range."""
        name = type(self).__name__
        raise_problems(name, check_params(type(self), self.get_params(), name) or self.problems())

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"


def as_images(X: ArrayLike) -> Batch:
    """Return images as float32 (B, H, W, C): whole numbers without sign as parts of the most their type can hold.

    Args:
        X: (B, H, W) or (B, H, W, C). Truth values become 0 and 1; signed numbers and floats stay as they are.

    Raises:
        ImageError: another shape, no numbers, or NaN or infinite values; the message names the rows.
    """
    array = np.asarray(X)
    if array.ndim not in (3, 4) or 0 in array.shape[1:]:
        raise ImageError(f"expected images (B, H, W) or (B, H, W, C), found an array of shape {array.shape}")
    if array.dtype.kind not in "buif":
        raise ImageError(f"expected images of numbers, found an array of type {array.dtype}")
    images = array.astype(np.float32)
    if array.dtype.kind == "u":
        images /= np.iinfo(array.dtype).max
    if array.dtype.kind == "f":
        refuse_images(~np.asarray(np.isfinite(images).all(axis=tuple(range(1, images.ndim)))), "is not finite")
    return images[..., None] if images.ndim == 3 else images


def refuse_images(bad: NDArray[np.bool_], what: str) -> None:
    """Raise an ImageError with one problem for each bad row of (B,), if there is any."""
    rows = np.flatnonzero(bad)
    if len(rows):
        raise ImageError(f"{len(rows)} of {len(bad)} images: {what}", [Problem(f"row {row}", what) for row in rows])
