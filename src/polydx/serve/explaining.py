"""What an answer rests on: each part of a measurement is hidden in turn, and the model asked again.

Importance is the fall of the log-odds of a class: above 0, the part speaks for it. Shapes: `n` spectra, `L` points
of the axis, `H, W` height and width, `N` variants of a case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, Problem
from polydx.explain.agnostic import log_odds, occlude_windows
from polydx.serve.cases import Case, ImageRows, Pixels, Rows, SpectraRows
from polydx.serve.refusals import RefusedError
from polydx.serve.served import Served
from polydx.serve.views import views

Floats = NDArray[np.float64]

WINDOWS = 50
"""How many windows an axis is cut into; they overlap by half."""
PATCHES = 8
"""Patches along each side of an image."""
TOGETHER = 8
"""Variants of an image that are held at a time."""


@dataclass(frozen=True)
class Explainer:
    """Explains one answer of a model.

    Attributes:
        served: the model.
        case: the sample.
        task: which answer.
        label: which class of it.
        check: called between two calls of the model; raises where there is no time left.
    """

    served: Served
    case: Case
    task: str
    label: str
    check: Callable[[], None]

    def explain(self) -> dict[str, Any]:
        """Return probabilities, importances and views as JSON can hold them; see `schemas.ExplainOut`."""
        parts: dict[str, dict[str, Any]] = {}
        for modality, files in self.case.rows.items():
            if isinstance(files[0], SpectraRows):
                parts[modality] = {"kind": "spectra", "bands": self._bands(modality, files[0])}
            else:
                parts[modality] = {"kind": "images", "grid": self._grid(modality, files[0])}
        for modality in self.case.values:
            parts[modality] = {"kind": "table", "columns": self._columns(modality)}
        return {
            "model": self.served.name,
            "sample": self.case.name,
            "task": self.task,
            "label": self.label,
            "probability": float(self._probabilities([self.case])[0]),
            "without": self._without(),
            "parts": parts,
            "views": views(self.case),
        }

    def _probabilities(self, cases: Sequence[Case]) -> Floats:
        self.check()
        code = self.served.tasks[self.task].classes.index(self.label)
        found = self.served.probabilities(cases, self.task)[:, code]
        if not np.isfinite(found).all():
            raise RefusedError(422, "no-probability", "the model gives no probability for this sample or parts of it")
        return found

    def _lost(self, variants: Iterator[Case], count: int) -> list[float]:
        """Return how much the log-odds fall for each variant, a few of them at a time."""
        whole = float(log_odds(self._probabilities([self.case]))[0])
        lost: list[float] = []
        for start in range(0, count, TOGETHER):
            some = [next(variants) for _ in range(min(TOGETHER, count - start))]
            lost += (whole - log_odds(self._probabilities(some))).tolist()
        return lost

    def _bands(self, modality: str, rows: SpectraRows) -> list[dict[str, float]] | None:
        """Return the importance of each window of the first file; None if its axis has too few points for windows."""

        def score(values: Floats) -> Floats:
            return log_odds(self._probabilities([self._with(modality, SpectraRows(values, rows.axis))]))

        width = 2 * float(rows.axis[-1] - rows.axis[0]) / WINDOWS
        try:
            found = occlude_windows(score, rows.values, rows.axis, width=width)[0]
        except ConfigError:
            return None
        edges = np.linspace(rows.axis[0], rows.axis[-1], WINDOWS + 1)
        inside = np.clip(np.searchsorted(edges, rows.axis, side="right") - 1, 0, WINDOWS - 1)
        return [
            {"low": float(edges[i]), "high": float(edges[i + 1]), "importance": float(found[inside == i].mean())}
            for i in np.unique(inside)
        ]

    def _grid(self, modality: str, rows: ImageRows) -> list[list[float]]:
        pixels = rows.frames[0]
        down, across = (np.linspace(0, side, min(PATCHES, side) + 1).astype(int) for side in pixels.shape[:2])
        mean = pixels.reshape(-1, *pixels.shape[2:]).mean(axis=0)

        def variants() -> Iterator[Case]:
            for top, bottom in pairwise(down):
                for left, right in pairwise(across):
                    hidden = _hidden(pixels, (slice(top, bottom), slice(left, right)), mean)
                    yield self._with(modality, ImageRows([hidden, *rows.frames[1:]]))

        shape = (len(down) - 1, len(across) - 1)
        lost = self._lost(variants(), shape[0] * shape[1])
        grid: list[list[float]] = np.reshape(lost, shape).tolist()
        return grid

    def _columns(self, modality: str) -> dict[str, float]:
        values = self.case.values[modality]
        known = [name for name, value in values.items() if value is not None]
        cases = (replace(self.case, values={**self.case.values, modality: {**values, n: None}}) for n in known)
        lost = self._lost(cases, len(known)) if len(known) > 1 or len(self.case.modalities) > 1 else []
        return dict(zip(known, lost, strict=False))

    def _without(self) -> dict[str, float] | None:
        """Return the probability where a whole modality is left out; None if there is no other."""
        names = self.case.modalities
        if len(names) < 2:
            return None
        cases = [
            replace(
                self.case,
                rows={m: r for m, r in self.case.rows.items() if m != name},
                values={m: v for m, v in self.case.values.items() if m != name},
            )
            for name in names
        ]
        return dict(zip(names, self._probabilities(cases).tolist(), strict=True))

    def _with(self, modality: str, first: Rows) -> Case:
        """Return the case with the first file of a modality replaced."""
        return replace(self.case, rows={**self.case.rows, modality: [first, *self.case.rows[modality][1:]]})


def _hidden(pixels: Pixels, where: tuple[slice, slice], mean: Any) -> Pixels:
    """Return an image with one patch in the mean colour of the whole."""
    copy = pixels.copy()
    copy[where] = np.asarray(mean).astype(pixels.dtype)
    return copy


def chosen(served: Served, answer: dict[str, Any], task: str | None, label: str | None) -> tuple[str, str]:
    """Return the task and class to explain: those asked for, else the first task and what was decided.

    Raises:
        RefusedError: there is no such task or class.
    """
    task = task if task is not None else next(iter(served.tasks))
    if task not in served.tasks:
        raise _unknown("task", task, list(served.tasks))
    classes = served.tasks[task].classes
    label = label if label is not None else (answer["tasks"][task]["decision"] or classes[0])
    if label not in classes:
        raise _unknown("label", label, list(classes))
    return task, label


def _unknown(what: str, found: str, known: list[str]) -> RefusedError:
    problem = Problem(what, f"'{found[:80]}' is none of: {', '.join(known)}")
    return RefusedError(422, "bad-input", f"no such {what}", [problem])
