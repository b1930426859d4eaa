"""Painting over a part of every image."""

from __future__ import annotations

from math import ceil, floor
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from polydx.errors import Problem
from polydx.preprocessing.images.base import Batch, ImageStep, Shape

Place: TypeAlias = Annotated[float, Field(ge=0)]


class MaskRegion(ImageStep):
    """Paint a rectangle: what is printed into images (a scale bar, a date, a side) may give the class away.

    Args:
        left: where the rectangle begins, from the left edge.
        top: where it begins, from the top edge.
        right: where it ends, from the left edge.
        bottom: where it ends, from the top edge.
        unit: `fraction` of width and height, or `pixel`. A pixel that the rectangle touches is painted.
        fill: value of the painted pixels, or `median` for that of each channel of the image outside the rectangle.
    """

    def __init__(
        self,
        left: Place = 0.0,
        top: Place = 0.0,
        right: Place = 1.0,
        bottom: Place = 1.0,
        unit: Literal["fraction", "pixel"] = "fraction",
        fill: float | Literal["median"] = "median",
    ) -> None:
        self.left = left
        self.top = top
        self.right = right
        self.bottom = bottom
        self.unit = unit
        self.fill = fill

    def problems(self) -> list[Problem]:
        """Return what is wrong with the corners."""
        found = [
            Problem(f"mask_region.{end}", f"expected more than {start} ({low:g}), found {high:g}")
            for start, low, end, high in (
                ("left", self.left, "right", self.right),
                ("top", self.top, "bottom", self.bottom),
            )
            if not high > low
        ]
        beyond = [n for n in ("right", "bottom") if self.unit == "fraction" and getattr(self, n) > 1]
        return found + [Problem(f"mask_region.{n}", f"expected at most 1, found {getattr(self, n):g}") for n in beyond]

    def misfits(self, shape: Shape) -> list[str]:
        """Return whether the rectangle lies outside the image, or leaves nothing of it."""
        rows, columns = self._painted(shape)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height <= 0 or width <= 0:
            return [f"the rectangle lies outside images of {shape[0]} x {shape[1]} pixels"]
        if height * width >= shape[0] * shape[1]:
            return ["the rectangle covers the whole image: give left, top, right and bottom"]
        return []

    def _painted(self, shape: Shape) -> tuple[slice, slice]:
        height, width = shape[:2]
        down, across = (height, width) if self.unit == "fraction" else (1, 1)
        rows = slice(floor(self.top * down), min(ceil(self.bottom * down), height))
        return rows, slice(floor(self.left * across), min(ceil(self.right * across), width))

    def apply(self, images: Batch) -> Batch:
        """Paint (B, H, W, C)."""
        rows, columns = self._painted(images.shape[1:])
        found = images.copy()
        if self.fill != "median":
            found[:, rows, columns] = self.fill
            return found
        outside = np.ones(images.shape[1:3], dtype=bool)
        outside[rows, columns] = False
        found[:, rows, columns] = np.median(images[:, outside], axis=1)[:, None, None]
        return found
