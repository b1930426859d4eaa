"""The kinds of input a study can hold, each with rows of its own, and the index from samples to those rows.

Shapes: `N` samples, `n` rows of a modality, `L` points of the wavenumber axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import Problem, counted

if TYPE_CHECKING:
    import pandas as pd

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Spectra:
    """Rows of spectra on one axis.

    Attributes:
        values: (n, L) intensities, float32 (float64 is kept where a caller brings it).
        axis: (L,) Raman shift in cm^-1, strictly increasing, float64.
    """

    kind: ClassVar[str] = "spectra"
    values: FloatArray
    axis: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    def take(self, rows: IntArray) -> Spectra:
        """Return the given rows, in that order."""
        return Spectra(self.values[rows], self.axis)

    def problems(self, name: str) -> list[Problem]:
        """Return what is wrong with shapes, axis and values."""
        where, found = f"modality '{name}'", []
        if self.values.ndim != 2 or self.axis.shape != self.values.shape[1:]:
            shapes = f"values {self.values.shape} and axis {self.axis.shape}"
            return [Problem(where, f"expected values (n, L) and axis (L,), found {shapes}")]
        if not np.all(np.isfinite(self.axis)) or np.any(np.diff(self.axis) <= 0):
            found.append("the axis must rise strictly and be finite")
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        if len(bad):
            rows = ", ".join(map(str, bad[:5]))
            found.append(f"{counted(len(bad), 'row')} with NaN or infinite values (rows {rows} ...)")
        return [Problem(where, what) for what in found]

    def content(self, row: int) -> bytes:
        """Return the bytes that identify the measurement of a row, whatever its name."""
        return np.ascontiguousarray(self.values[row], dtype=np.float32).tobytes()


@dataclass(frozen=True)
class Images:
    """Rows of images: one frame of a file each, decoded when they are needed.

    Attributes:
        paths: one file a row; a file of several frames stands once a frame.
        frames: the frame of each row's file, counted from 0; the first of each file if not given.
        window: of DICOM, (centre, width) or `"file"` for the one in its header; None leaves values as they are.
    """

    kind: ClassVar[str] = "images"
    paths: tuple[Path, ...]
    frames: tuple[int, ...] = ()
    window: Literal["file"] | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Take the first frame of each file where none is named."""
        if not self.frames:
            object.__setattr__(self, "frames", (0,) * len(self.paths))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.paths)

    def take(self, rows: IntArray) -> Images:
        """Return the given rows, in that order."""
        return Images(tuple(self.paths[i] for i in rows), tuple(self.frames[i] for i in rows), self.window)

    def problems(self, name: str) -> list[Problem]:
        """Return the files that are not there, and frames that cannot be."""
        where = f"modality '{name}'"
        if len(self.frames) != len(self.paths):
            return [Problem(where, f"{counted(len(self.frames), 'frame')} for {counted(len(self.paths), 'path')}")]
        found = [Problem(where, f"no file {p}") for p in dict.fromkeys(self.paths) if not p.is_file()]
        below = [p for p, frame in zip(self.paths, self.frames, strict=True) if frame < 0]
        return found + [Problem(where, f"a frame below 0 of {p}; frames are counted from 0") for p in below]

    def content(self, row: int) -> bytes:
        """Return the bytes that identify the measurement of a row, whatever its name."""
        frame = self.frames[row]
        return self.paths[row].read_bytes() + (b"" if frame == 0 else f" frame {frame}".encode())


@dataclass(frozen=True)
class HeldImages(Images):
    """Rows of images that are in memory already; `paths` are what they are called, no files.

    Attributes:
        pixels: (H, W) or (H, W, C) a row.
    """

    pixels: tuple[NDArray[Any], ...] = ()

    def take(self, rows: IntArray) -> HeldImages:
        """Return the given rows, in that order."""
        kept = super().take(rows)
        return HeldImages(kept.paths, kept.frames, self.window, tuple(self.pixels[i] for i in rows))

    def problems(self, name: str) -> list[Problem]:
        """Return whether each row has pixels."""
        if len(self.pixels) == len(self.paths):
            return []
        return [Problem(f"modality '{name}'", f"{counted(len(self.pixels), 'image')} for {len(self.paths)} names")]

    def content(self, row: int) -> bytes:
        """Return the bytes of the pixels of a row."""
        return repr((self.pixels[row].shape, self.pixels[row].dtype.str)).encode() + self.pixels[row].tobytes()


@dataclass(frozen=True)
class Table:
    """Rows of typed columns (clinical values).

    Attributes:
        frame: one row a visit or patient; missing values are NaN / None. A column's dtype is its kind: float64 holds
            numbers, an ordered Categorical levels, objects of text categories.
        units: column -> unit, of the numbers that have one.
    """

    kind: ClassVar[str] = "table"
    frame: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    def take(self, rows: IntArray) -> Table:
        """Return the given rows, in that order."""
        return Table(self.frame.iloc[rows].reset_index(drop=True), self.units)

    def problems(self, name: str) -> list[Problem]:
        """Return what is wrong with the columns."""
        where, columns = f"modality '{name}'", self.frame.columns
        found = [Problem(where, f"column '{c}' stands twice") for c in columns[columns.duplicated()]]
        return found + [Problem(where, f"a unit of '{c}', which is no column") for c in self.units if c not in columns]

    def content(self, row: int) -> bytes:
        """Return the bytes that identify the measurement of a row, whatever its name."""
        # Without types: a column of whole numbers becomes one of floats by a gap in another row.
        return repr([list(self.frame.columns), self.frame.iloc[row].tolist()]).encode()


Modality: TypeAlias = Spectra | Images | Table


@dataclass(frozen=True)
class RowIndex:
    """Which rows of a modality belong to which sample: none, one or several (a bag).

    Attributes:
        starts: (N + 1,) sample i owns `rows[starts[i]:starts[i + 1]]`.
        rows: row numbers of the modality, sample by sample.
    """

    starts: IntArray
    rows: IntArray

    @classmethod
    def one_each(cls, n: int) -> RowIndex:
        """Sample i has row i."""
        return cls(np.arange(n + 1), np.arange(n))

    @classmethod
    def from_lists(cls, lists: Iterable[Sequence[int] | IntArray]) -> RowIndex:
        """Sample i has the rows `lists[i]`, which may be empty."""
        kept = [np.asarray(rows, dtype=np.int64) for rows in lists]
        starts = np.concatenate([[0], np.cumsum([len(rows) for rows in kept])]).astype(np.int64)
        return cls(starts, np.concatenate([np.empty(0, np.int64), *kept]))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.starts) - 1

    def __getitem__(self, sample: int) -> IntArray:
        """Return the rows of the sample at this position."""
        return self.rows[self.starts[sample] : self.starts[sample + 1]]

    @property
    def counts(self) -> IntArray:
        """(N,) rows a sample has."""
        return np.diff(self.starts)

    @property
    def sample_of_row(self) -> IntArray:
        """(len(rows),) position of the sample each entry of `rows` belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, samples: IntArray) -> tuple[RowIndex, IntArray]:
        """Return the index of these samples, renumbered, and the modality rows they need."""
        lists = [self[i] for i in samples]
        kept = RowIndex.from_lists(lists)
        needed, renumbered = np.unique(kept.rows, return_inverse=True)
        return RowIndex(kept.starts, renumbered.astype(np.int64)), needed


def describe_rows(modality: Modality, index: RowIndex) -> dict[str, Any]:
    """Return kind, rows and gaps of a modality, and of spectra their axis."""
    counts = index.counts
    described: dict[str, Any] = {
        "kind": modality.kind,
        "rows": len(modality),
        "samples_without": int((counts == 0).sum()),
        "most_rows_a_sample": int(counts.max(initial=0)),
    }
    if isinstance(modality, Spectra):
        described |= {"points": len(modality.axis), "from": float(modality.axis[0]), "to": float(modality.axis[-1])}
    return described


def availability(rows: Mapping[str, RowIndex], patients: NDArray[np.object_]) -> dict[str, dict[str, int]]:
    """Return which modalities samples have together ('image+raman', '' for none) -> how many samples and patients.

    The most frequent first.

    Args:
        rows: modality -> index from the N samples to its rows.
        patients: (N,) patient of each sample.
    """
    import pandas as pd

    there = pd.DataFrame({name: rows[name].counts > 0 for name in sorted(rows)})
    patterns = ["+".join(there.columns[row]) for row in there.to_numpy()]
    counts = pd.Series(patients).groupby(patterns).agg(["size", "nunique"])
    counts = counts.sort_values("size", ascending=False, kind="stable")
    return {str(p): {"samples": int(row["size"]), "patients": int(row["nunique"])} for p, row in counts.iterrows()}
