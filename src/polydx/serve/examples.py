"""Made-up inputs to try a model with: nobody's measurement, drawn from what the model says it takes."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from polydx.serve.served import Served

BANDS = (
    (853, 9, 0.35), (937, 12, 0.4), (1003, 5, 1.0), (1085, 14, 0.35), (1126, 10, 0.3), (1260, 22, 0.5),
    (1336, 20, 0.55), (1449, 14, 0.9), (1657, 20, 0.95), (2934, 40, 1.6),
)  # fmt: skip
"""cm^-1, width and height of bands as biological samples have them; the choice is no measurement."""
SIDE = 224


def example(served: Served) -> dict[str, Any]:
    """Return one sample as `PredictIn` takes it: seeded, so always the same."""
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {}
    for name, about in served.about.items():
        if about["kind"] == "spectra":
            inputs[name] = _spectrum(np.asarray(about["axis"], dtype=np.float64), rng)
        elif about["kind"] == "images":
            inputs[name] = _picture(rng)
        else:
            inputs[name] = {column["name"]: _value(column) for column in about["columns"]}
    return {"samples": [{"name": "simulated example", "inputs": inputs}]}


def _spectrum(axis: np.ndarray[Any, np.dtype[np.float64]], rng: np.random.Generator) -> dict[str, Any]:
    along = (axis - axis[0]) / max(axis[-1] - axis[0], 1e-9)
    values = 3 + 2 * np.exp(-2 * along) + rng.normal(size=len(axis)) * 0.02
    for centre, width, height in BANDS:
        values += height / (1 + ((axis - centre) / width) ** 2)
    return {"axis": axis.tolist(), "values": np.round(values * 1000, 2).tolist()}


def _picture(rng: np.random.Generator) -> dict[str, Any]:
    """Return round dark bodies on a light ground, as stained cells look from afar."""
    from PIL import Image

    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    pixels = np.full((SIDE, SIDE, 3), (236, 222, 228), dtype=np.float64)
    for _ in range(9):
        x, y, radius = rng.uniform(10, SIDE - 10), rng.uniform(10, SIDE - 10), rng.uniform(12, 26)
        inside = np.clip((radius - np.hypot(across - x, down - y)) / 4, 0, 1)[..., None]
        pixels = pixels * (1 - inside) + inside * rng.uniform((110, 70, 140), (160, 110, 180))
    pixels += rng.normal(size=pixels.shape) * 3
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return {"name": "simulated.png", "base64": base64.b64encode(buffer.getvalue()).decode("ascii")}


def _value(column: dict[str, Any]) -> Any:
    """Return the middle of a column's range, or the first of its categories."""
    if column.get("categories"):
        return column["categories"][0]
    low, high = column.get("low"), column.get("high")
    return None if low is None or high is None else round((low + high) / 2, 2)
