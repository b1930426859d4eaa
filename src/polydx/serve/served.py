"""One served model: what it takes and answers, in the server's words, and its calls with many samples at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from polydx.errors import PolydxError, Problem
from polydx.serve.cases import Case, ImageRows, SpectraRows

if TYPE_CHECKING:
    from polydx.bundle import Predictor

MOST_CARD = 100_000


class Served:
    """A model behind the server.

    Args:
        predictor: the loaded bundle.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.name, self.tasks = predictor, predictor.name, predictor.tasks
        self.about = {name: dict(about) for name, about in predictor.modalities.items()}
        self.kinds = {name: about["kind"] for name, about in self.about.items()}
        self.example: dict[str, Any] | None = None
        self.unit = predictor.manifest.get("unit", "sample")

    def of_kind(self, kind: str) -> list[str]:
        """Return the names of the modalities of a kind."""
        return [name for name, found in self.kinds.items() if found == kind]

    def describe(self) -> dict[str, Any]:
        """Return what a client has to know, as JSON can hold it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "tasks": {name: task.to_dict() for name, task in self.tasks.items()},
            "modalities": {name: plain(about) for name, about in self.about.items()},
            "card": self.predictor.card[:MOST_CARD],
        }

    def inputs(self, case: Case) -> dict[str, Any]:
        """Return a case as the predictor takes it."""
        found: dict[str, Any] = dict(case.values)
        for modality, files in case.rows.items():
            spectra = [(rows.values, rows.axis) for rows in files if isinstance(rows, SpectraRows)]
            frames = [frame for rows in files if isinstance(rows, ImageRows) for frame in rows.frames]
            several = spectra or frames
            found[modality] = several[0] if len(several) == 1 else several
        return found

    def answer(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """Return the answer to each case.

        Raises:
            PolydxError: what the model refuses; where it is a case, that is called as the client calls it.
        """
        try:
            frame = self.predictor.predict([self.inputs(case) for case in cases])
        except PolydxError as error:
            names = {f"sample {i}": case.name for i, case in enumerate(cases)}
            told = [Problem(names.get(p.where, p.where), p.what) for p in error.problems]
            raise type(error)(error.message, told) from error
        records = frame.to_dict("records")
        return [self._told(case, record) for case, record in zip(cases, records, strict=True)]

    def _told(self, case: Case, record: Mapping[Any, Any]) -> dict[str, Any]:
        tasks = {}
        for name, task in self.tasks.items():
            found = record.get(f"{name} set")
            tasks[name] = {
                "decision": record[name],
                "probabilities": {c: finite(record[f"{name}: {c}"]) for c in task.classes},
                "set": None if found is None or isinstance(found, float) else [str(c) for c in found],
            }
        return {
            "sample": case.name,
            "tasks": tasks,
            "modalities": [str(m) for m in record["modalities"]],
            "warnings": [str(w) for w in record["warnings"]],
        }

    def probabilities(self, cases: Sequence[Case], task: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return (N, K) of one task."""
        found = self.predictor.predict_proba([self.inputs(case) for case in cases])
        return np.asarray(found[task], dtype=np.float64)


def finite(value: Any) -> float | None:
    """Return a number JSON can hold, None for NaN."""
    number = float(value)
    return number if math.isfinite(number) else None


def plain(value: Any) -> Any:
    """Return what JSON can hold of arrays, mappings and numbers of NumPy."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return finite(value)
    return value
