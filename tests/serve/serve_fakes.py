"""A predictor small enough to be read: it answers like a bundle, from rules that a test can foresee."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polydx.errors import Problem, ReadError
from polydx.study import Task

AXIS = np.linspace(600.0, 1700.0, 120)
RAMAN = {"kind": "spectra", "axis": AXIS}
IMAGE = {"kind": "images", "window": None}
CLINICAL = {
    "kind": "table",
    "columns": [
        {"name": "age", "kind": "number", "unit": "years", "low": 18.0, "high": 90.0},
        {"name": "sex", "kind": "category", "categories": ["female", "male"]},
        {"name": "stage", "kind": "ordinal", "categories": ["I", "II", "III"]},
    ],
}
TASKS = {
    "malignancy": Task(("benign", "malignant"), positive="malignant"),
    "subtype": Task(("pre-B", "pro-B", "early pre-B"), parent=("malignancy", "malignant")),
}


class FakePredictor:
    """The band at 1003 cm^-1, a dark image and a high age speak for malignant."""

    def __init__(
        self, *modalities: str, name: str = "fake", unit: str = "sample", seconds: float = 0.0, fail: str = ""
    ) -> None:
        known = {"raman": RAMAN, "image": IMAGE, "clinical": CLINICAL}
        self.name, self.tasks, self.card = name, TASKS, "# Fake\n\nIntended use: tests.\n"
        self.modalities = {m: known[m] for m in modalities or ("raman",)}
        self.manifest: Mapping[str, Any] = {"unit": unit}
        self.seconds, self.fail, self.calls = seconds, fail, []

    def _scores(self, samples: Sequence[Mapping[str, Any]]) -> np.ndarray:
        found = []
        for sample in samples:
            if not sample:
                raise ReadError("1 problem", [Problem(f"sample {len(found)}", "has none of the modalities")])
            score = 0.0
            if "raman" in sample:
                several = sample["raman"] if isinstance(sample["raman"], list) else [sample["raman"]]
                for values, axis in several:
                    near = np.abs(axis - 1003) < 20
                    if not near.any():
                        what = "the axis does not cover the model's"
                        raise ReadError("1 problem", [Problem(f"sample {len(found)}", what)])
                    score += float(values[:, near].mean() - values.mean())
            if "image" in sample:
                several = sample["image"] if isinstance(sample["image"], list) else [sample["image"]]
                score += float(np.mean([1 - pixels[: -(-len(pixels) // 2)].mean() / 127.5 for pixels in several]))
            score += (float(sample.get("clinical", {}).get("age") or 50) - 50) / 20
            found.append(score)
        return 1 / (1 + np.exp(-np.array(found)))

    def predict_proba(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        p = self._scores(samples)
        thirds = np.stack([0.5 + 0 * p, 0.3 + 0 * p, 0.2 + 0 * p], axis=1)
        return {"malignancy": np.stack([1 - p, p], axis=1), "subtype": thirds}

    def predict(self, inputs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        self.calls.append(len(inputs))
        time.sleep(self.seconds)
        if self.fail:
            raise RuntimeError(self.fail)
        found = self.predict_proba(inputs)
        rows = []
        for i, sample in enumerate(inputs):
            row: dict[str, Any] = {"sample": f"sample {i}"}
            for name, task in self.tasks.items():
                p = found[name][i]
                row[name] = task.classes[int(p.argmax())]
                row |= {f"{name}: {c}": float(v) for c, v in zip(task.classes, p, strict=True)}
                row[f"{name} set"] = [c for c, v in zip(task.classes, p, strict=True) if v > 0.1]
            row["modalities"] = list(sample)
            small = "image" in sample and not isinstance(sample["image"], list) and min(sample["image"].shape[:2]) < 32
            row["warnings"] = ["the image is small"] if small else []
            rows.append(row)
        return pd.DataFrame(rows)
