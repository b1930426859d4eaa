"""Files of spectra or images become batches of a few thousand rows, so that any number of them fits into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polydx.bundle.batch import Batch
from polydx.bundle.inputs import images_of, problems_of, small, spectra_of
from polydx.errors import PolydxError, Problem, ReadError, counted
from polydx.io.source import Source
from polydx.modalities import HeldImages
from polydx.progress import Progress
from polydx.recipes.store import Model
from polydx.study import RowIndex, Spectra

ROWS = 4096
"""Spectra at a time."""
FRAMES = 64


def batches_of_files(model: Model, files: Sequence[Source], progress: Progress) -> Iterator[Batch]:
    """Yield the rows of files: each a sample, or each file a sample where the unit is a patient.

    Raises:
        ReadError: a file cannot be read or does not cover the model's axis; all of them are listed.
    """
    if not files:
        raise ReadError("no files to predict")
    name, about = next(iter(model.modalities.items()))
    held = _Held(model, name, about.kind)
    problems: list[Problem] = []
    progress.begin("files", len(files))
    for source in files:
        told: list[str] = []
        try:
            if about.kind == "spectra":
                rows: Any = spectra_of(source, model.axes[name], name, told)
            else:
                rows = [pixels for _, pixels in images_of(source, about.window, name)]
                told += [w for w in dict.fromkeys(small(name, p, about.size) for p in rows) if w]
        except PolydxError as error:
            problems += problems_of(str(source), error)
        else:
            held.add(str(source), rows, told)
        progress.step(source.name)
        if not problems and held.full:
            yield held.batch()
    if problems:
        raise ReadError(f"{counted(len(problems), 'problem')} in the files to predict; nothing was predicted", problems)
    if held.files:
        yield held.batch()


class _Held:
    """Rows that wait until there are enough of them."""

    def __init__(self, model: Model, modality: str, kind: str) -> None:
        self.model, self.modality, self.kind = model, modality, kind
        self.files: list[tuple[str, Any, list[str]]] = []

    @property
    def full(self) -> bool:
        return sum(len(rows) for _, rows, _ in self.files) >= (ROWS if self.kind == "spectra" else FRAMES)

    def add(self, file: str, rows: Any, told: list[str]) -> None:
        self.files.append((file, rows, told))

    def batch(self) -> Batch:
        """Return what is held, and hold nothing."""
        files, self.files = self.files, []
        counts = np.array([len(rows) for _, rows, _ in files], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        by_file = self.model.unit == "patient"
        index = RowIndex(starts, np.arange(starts[-1])) if by_file else RowIndex.one_each(int(starts[-1]))
        first = range(len(files)) if by_file else starts[:-1]
        warnings: dict[int, list[str]] = {}
        for (_, rows, told), start in zip(files, first, strict=True):
            if told:
                warnings |= {int(start) + i: told for i in range(1 if by_file else len(rows))}
        return Batch(self._origin(files, by_file), {self.modality: self._rows(files)}, {self.modality: index}, warnings)

    def _origin(self, files: Sequence[tuple[str, Any, list[str]]], by_file: bool) -> pd.DataFrame:
        if by_file:
            told = [(file, file, len(rows)) for file, rows, _ in files]
            return pd.DataFrame(told, columns=["sample", "file", self.kind])
        found = [
            (file if len(rows) == 1 else f"{file}#{i}", file, i) for file, rows, _ in files for i in range(len(rows))
        ]
        return pd.DataFrame(found, columns=["sample", "file", "row"])

    def _rows(self, files: Sequence[tuple[str, Any, list[str]]]) -> Spectra | HeldImages:
        if self.kind == "spectra":
            return Spectra(np.vstack([rows for _, rows, _ in files]), self.model.axes[self.modality])
        called = tuple(Path(file) for file, rows, _ in files for _ in rows)
        window = self.model.modalities[self.modality].window
        return HeldImages(called, (0,) * len(called), window, tuple(p for _, rows, _ in files for p in rows))
