"""Measurements as they were read, made small enough to be shown in a page.

Shapes: `n` spectra, `L` points, `H, W` height and width, `C` channels.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from polydx.serve.cases import Case, ImageRows, Pixels, SpectraRows
from polydx.serve.served import plain

MOST_POINTS = 1200
MOST_ROWS = 12
MOST_SIDE = 512
DIGITS = 6


def views(case: Case) -> dict[str, dict[str, Any]]:
    """Return what is shown of each modality of a case."""
    found: dict[str, dict[str, Any]] = {}
    for modality, files in case.rows.items():
        first = files[0]
        found[modality] = _spectra_view(first) if isinstance(first, SpectraRows) else _image_view(first)
    for modality, values in case.values.items():
        found[modality] = {"kind": "table", "columns": plain(values)}
    return found


def _spectra_view(rows: SpectraRows) -> dict[str, Any]:
    """Return a spectrum of at most `MOST_POINTS`: means of neighbours, so that no band is lost between two."""
    size = -(-len(rows.axis) // MOST_POINTS)
    starts = np.arange(0, len(rows.axis), size)
    counts = np.diff([*starts, len(rows.axis)])
    axis = np.add.reduceat(rows.axis, starts) / counts
    values = np.add.reduceat(rows.values[:MOST_ROWS], starts, axis=1) / counts
    return {"kind": "spectra", "axis": _rounded(axis), "values": [_rounded(row) for row in values]}


def _rounded(values: np.ndarray[Any, Any]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]


def _image_view(rows: ImageRows) -> dict[str, Any]:
    pixels = rows.frames[0]
    height, width = pixels.shape[:2]
    return {"kind": "images", "image": data_url(pixels), "height": height, "width": width}


def data_url(pixels: Pixels) -> str:
    """Return an image (H, W) or (H, W, C), scaled down to `MOST_SIDE`, as PNG in a URL; deep values fill the range."""
    step = max(1, -(-max(pixels.shape[:2]) // (2 * MOST_SIDE)))
    shown = pixels[::step, ::step]
    if shown.ndim == 3 and shown.shape[2] in (2, 4):
        shown = shown[..., :-1]  # without alpha
    shown = shown[..., 0] if shown.ndim == 3 and shown.shape[2] == 1 else shown
    png = as_png(shown if shown.dtype == np.uint8 else _stretched(shown), MOST_SIDE)
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def as_png(pixels: Pixels, most: int | None = None) -> bytes:
    """Return an image of 8 bits as a PNG file, scaled down to sides of `most` pixels."""
    from PIL import Image

    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    if most is not None:
        picture.thumbnail((most, most))
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _stretched(pixels: Pixels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return values of any depth as 8 bits, their 1st to 99th percentile from black to white."""
    values = np.nan_to_num(pixels.astype(np.float64))
    low, high = np.percentile(values, [1, 99])
    if high <= low:
        low, high = values.min(), max(values.max(), values.min() + 1)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1) * 255, dtype=np.uint8)
