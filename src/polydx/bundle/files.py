"""Files of spectra or images become batches of a few thousand rows, so that any number of them fits into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polydx.bundle.batch import Batch
from polydx.bundle.inputs import images_of, onto_axis, problems_of, small
from polydx.errors import PolydxError, Problem, ReadError, counted
from polydx.io.pieces import spectra_in_pieces
from polydx.io.source import Source
from polydx.io.spectra import read_spectra
from polydx.modalities import HeldImages
from polydx.progress import Progress
from polydx.recipes.store import Modality, Model
from polydx.study import RowIndex, Spectra

ROWS = 4096
"""Spectra at a time."""
FRAMES = 64
TOLD = 50_000
"""Rows of a file between two words on how far it is."""


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
        try:
            read = 0
            for rows, told, several in _pieces(model, name, about, source):
                held.add(str(source), rows, told, several)
                read += len(rows)
                if read // TOLD > (read - len(rows)) // TOLD:
                    progress.say(f"{source.name}: {read} spectra")
                if not problems and held.full:
                    yield held.batch()
        except PolydxError as error:
            problems += problems_of(str(source), error)
        progress.step(source.name)
    if problems:
        raise ReadError(f"{counted(len(problems), 'problem')} in the files to predict; nothing was predicted", problems)
    if held.files:
        yield held.batch()


def _pieces(model: Model, name: str, about: Modality, source: Source) -> Iterator[tuple[Any, list[str], bool]]:
    """Yield the rows of a file, what is to be told of them, and whether more than one row is in the file."""
    told: list[str] = []
    if about.kind == "images":
        frames = [pixels for _, pixels in images_of(source, about.window, name)]
        told += [w for w in dict.fromkeys(small(name, p.shape, about.size) for p in frames) if w]
        yield frames, told, len(frames) > 1
        return
    # The spectra of a patient belong together, however many they are.
    pieces = iter([read_spectra(source)]) if model.unit == "patient" else spectra_in_pieces(source, ROWS)
    for number, (values, own) in enumerate(pieces):
        told = []
        yield onto_axis(values, own, model.axes[name], name, told), told, number > 0 or len(values) > 1


class _Held:
    """Rows that wait until there are enough of them."""

    def __init__(self, model: Model, modality: str, kind: str) -> None:
        self.model, self.modality, self.kind = model, modality, kind
        self.files: list[tuple[str, Any, list[str]]] = []
        self.names: list[tuple[int, bool]] = []
        self.last, self.next = "", 0

    @property
    def full(self) -> bool:
        return sum(len(rows) for _, rows, _ in self.files) >= (ROWS if self.kind == "spectra" else FRAMES)

    def add(self, file: str, rows: Any, told: list[str], several: bool) -> None:
        """Take in rows of a file, which go on where its last ones ended."""
        start = self.next if several and file == self.last else 0
        self.last, self.next = file, start + len(rows)
        self.files.append((file, rows, told))
        self.names.append((start, several))

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
            self.names = []
            told = [(file, file, len(rows)) for file, rows, _ in files]
            return pd.DataFrame(told, columns=["sample", "file", self.kind])
        places, self.names = self.names, []
        found = [
            (f"{file}#{i}" if several else file, file, i)
            for (file, rows, _), (start, several) in zip(files, places, strict=True)
            for i in range(start, start + len(rows))
        ]
        return pd.DataFrame(found, columns=["sample", "file", "row"])

    def _rows(self, files: Sequence[tuple[str, Any, list[str]]]) -> Spectra | HeldImages:
        if self.kind == "spectra":
            return Spectra(np.vstack([rows for _, rows, _ in files]), self.model.axes[self.modality])
        called = tuple(Path(file) for file, rows, _ in files for _ in rows)
        window = self.model.modalities[self.modality].window
        return HeldImages(called, (0,) * len(called), window, tuple(p for _, rows, _ in files for p in rows))
