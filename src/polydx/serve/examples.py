"""Made-up inputs to try a model with: nobody's measurement, drawn from what the model says it takes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.serve.cases import Case, ImageRows, Pixels, SpectraRows
from polydx.serve.logs import LOG, where
from polydx.serve.served import Served
from polydx.serve.views import as_png

BANDS = (
    (853, 9, 0.35), (937, 12, 0.4), (1003, 5, 1.0), (1085, 14, 0.35), (1126, 10, 0.3), (1260, 22, 0.5),
    (1336, 20, 0.55), (1449, 14, 0.9), (1657, 20, 0.95), (2934, 40, 1.6),
)  # fmt: skip
"""cm^-1, width and height of bands as biological samples have them; the choice is no measurement."""
SIDE = 224
COLOURS = (3, 1)
"""Channels of a picture: what is tried first, and what then."""


def example(served: Served) -> dict[str, Any]:
    """Return one sample as `PredictIn` takes it: seeded, so always the same; of pictures, one that the model takes."""
    if served.example is None:
        for channels in COLOURS:
            case = _case(served, channels)
            try:
                served.answer([case])
                break
            except Exception as error:  # made up as it is, a model may refuse it
                LOG.warning("no answer to an example", extra={"fields": {"model": served.name} | where(error)})
            if not served.of_kind("images"):
                break
        served.example = _as_json(case)
    return served.example


def _case(served: Served, channels: int) -> Case:
    rng = np.random.default_rng(0)
    case = Case("simulated example")
    for name, about in served.about.items():
        if about["kind"] == "spectra":
            case.rows[name] = [_spectrum(np.asarray(about["axis"], dtype=np.float64), rng)]
        elif about["kind"] == "images":
            height, width = about.get("size") or (SIDE, SIDE)
            case.rows[name] = [ImageRows([_picture(height, width, channels, rng)])]
        else:
            case.values[name] = {column["name"]: _value(column) for column in about["columns"]}
    return case


def _as_json(case: Case) -> dict[str, Any]:
    inputs: dict[str, Any] = dict(case.values)
    for name, (rows,) in case.rows.items():
        if isinstance(rows, SpectraRows):
            inputs[name] = {"axis": rows.axis.tolist(), "values": rows.values[0].tolist()}
        else:
            inputs[name] = {"name": "simulated.png", "base64": base64.b64encode(as_png(rows.frames[0])).decode("ascii")}
    return {"samples": [{"name": case.name, "inputs": inputs}]}


def _spectrum(axis: NDArray[np.float64], rng: np.random.Generator) -> SpectraRows:
    along = (axis - axis[0]) / max(axis[-1] - axis[0], 1e-9)
    values = 3 + 2 * np.exp(-2 * along) + rng.normal(size=len(axis)) * 0.02
    for centre, width, height in BANDS:
        values += height / (1 + ((axis - centre) / width) ** 2)
    return SpectraRows(np.round(values[None] * 1000, 2), axis)


def _picture(height: int, width: int, channels: int, rng: np.random.Generator) -> Pixels:
    """Return round dark bodies on a light ground, (H, W, 3) or, of one channel, (H, W)."""
    side = min(height, width)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.full((height, width, 3), (236, 222, 228), dtype=np.float64)
    for _ in range(9):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), side * rng.uniform(0.05, 0.12)
        inside = np.clip((radius - np.hypot(across - x, down - y)) / 4, 0, 1)[..., None]
        pixels = pixels * (1 - inside) + inside * rng.uniform((110, 70, 140), (160, 110, 180))
    pixels += rng.normal(size=pixels.shape) * 3
    shown = np.clip(pixels, 0, 255).astype(np.uint8)
    return shown if channels == 3 else shown.mean(axis=2).astype(np.uint8)


def _value(column: dict[str, Any]) -> Any:
    """Return the middle of a column's range, or the first of its categories."""
    if column.get("categories"):
        return column["categories"][0]
    low, high = column.get("low"), column.get("high")
    return None if low is None or high is None else round((low + high) / 2, 2)
