"""Everything beside the measured pattern that could tell the classes apart: columns, brightness, order, gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.study import IntArray, Spectra, Study, Table

Floats = NDArray[np.float64]
Source: TypeAlias = Literal["samples", "table", "signal", "rows", "missing", "quality", "order", "count"]

FEW_VALUES = 10  # a number with at most so many values is taken for a code
MISSING = "(missing)"
BLOCK = 4096


@dataclass(frozen=True)
class Candidate:
    """One value a sample, known without looking at the pattern of the measurement.

    Attributes:
        name: as the user knows it.
        source: where it comes from; decides what to do about it.
        values: (N,) numbers, NaN = unknown; or category codes.
        categories: names of the codes, None for numbers.
    """

    name: str
    source: Source
    values: Floats | IntArray
    categories: tuple[str, ...] | None = None

    @property
    def codes(self) -> IntArray:
        """(N,) category codes."""
        return self.values.astype(np.int64)


def candidates(study: Study) -> list[Candidate]:
    """Return all candidates of a study that take more than one value."""
    found = [*_sample_columns(study), *_quality(study), *_order(study)]
    for name, modality in study.modalities.items():
        found += _presence(study, name)
        if isinstance(modality, Spectra):
            found += _signal(study, name, modality)
        if isinstance(modality, Table):
            found += _table_columns(study, name, modality)
    return [c for c in found if len(np.unique(c.values[np.isfinite(c.values)])) > 1]


def _sample_columns(study: Study) -> Iterator[Candidate]:
    for name in study.samples.columns.drop("patient"):
        yield _from_column(f"column '{name}' of the samples", "samples", study.samples[name])


def _quality(study: Study) -> Iterator[Candidate]:
    if study.quality is not None:
        for name in study.quality.columns:
            yield _from_column(f"flag '{name}'", "quality", study.quality[name])


def _order(study: Study) -> Iterator[Candidate]:
    yield Candidate("order of the samples", "order", np.arange(len(study), dtype=np.float64))
    if study.unit == "sample":
        counts = np.bincount(study.patient_codes[0])[study.patient_codes[0]]
        yield Candidate("number of samples of a patient", "count", counts.astype(np.float64))


def _presence(study: Study, name: str) -> Iterator[Candidate]:
    present, counts = study.present(name), study.rows[name].counts
    yield Candidate(f"presence of '{name}'", "missing", present.astype(np.int64), ("absent", "present"))
    if counts.max(initial=0) > 1:
        yield Candidate(f"rows of '{name}' of a sample", "rows", np.where(present, counts, np.nan))


def _signal(study: Study, name: str, spectra: Spectra) -> Iterator[Candidate]:
    blocks = [spectra.values[i : i + BLOCK].astype(np.float64) for i in range(0, len(spectra), BLOCK)]
    yield Candidate(f"mean intensity of '{name}'", "signal", _mean_rows(study, name, [b.mean(axis=1) for b in blocks]))
    norms = [np.linalg.norm(b, axis=1) for b in blocks]
    yield Candidate(f"total intensity (norm) of '{name}'", "signal", _mean_rows(study, name, norms))


def _table_columns(study: Study, name: str, table: Table) -> Iterator[Candidate]:
    index = study.rows[name]
    present = np.flatnonzero(index.counts > 0)
    first = index.rows[index.starts[present]]
    for column in table.frame.columns:
        of_samples = table.frame[column].iloc[first].set_axis(present).reindex(np.arange(len(study)))
        candidate = _from_column(f"column '{column}' of '{name}'", "table", of_samples)
        unknown = of_samples.isna().to_numpy()
        if candidate.categories is None:
            candidate = Candidate(candidate.name, "table", _mean_rows(study, name, [_numbers(table.frame[column])]))
        yield candidate
        if unknown.any():
            gaps = unknown & (index.counts > 0)
            yield Candidate(f"gaps in {candidate.name}", "missing", gaps.astype(np.int64), ("known", "missing"))


def _mean_rows(study: Study, name: str, blocks: list[Floats]) -> Floats:
    """Return (N,) mean over each sample's rows, from (n,) values a row in blocks; NaN where nothing is known."""
    index, values = study.rows[name], np.concatenate(blocks)
    of_rows = values[index.rows]
    known = np.isfinite(of_rows)
    total = np.bincount(index.sample_of_row[known], weights=of_rows[known], minlength=len(study))
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.bincount(index.sample_of_row[known], minlength=len(study)))


def _from_column(name: str, source: Source, column: pd.Series) -> Candidate:
    """Return numbers and dates as they are, anything else, and numbers with few values, as categories."""
    ordered = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    if ordered and not pd.api.types.is_bool_dtype(column) and column.nunique() > FEW_VALUES:
        return Candidate(name, source, _numbers(column))
    text = column.map(str, na_action="ignore").astype(object)
    codes, categories = pd.factorize(text.where(column.notna(), MISSING), sort=True)
    return Candidate(name, source, codes.astype(np.int64), tuple(map(str, categories)))


def _numbers(column: pd.Series) -> Floats:
    """Return (n,) float64, dates as seconds, NaN where unknown or infinite."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = (column - column.min()).dt.total_seconds()
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)
