"""Columns of a table in the answers of any recipe: Shapley values, and studies with other rows of a table.

Shapes: `N` samples, `D` columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import StudyError
from polydx.explain.agnostic import log_odds, shapley_of_row
from polydx.explain.choice import Target
from polydx.explain.shares import Sharing
from polydx.explain.subjects import Subject
from polydx.study import Modality, RowIndex, Study, Table

Floats: TypeAlias = NDArray[np.float64]
BACKGROUND = 30
"""Training patients that stand for 'any patient'; each coalition of columns is asked about with all of them."""


def shapley(modality: str, seed: int = 0) -> Sharing:
    """Return Shapley values of a table's columns: they add up to the log-odds less the background's mean."""

    def shared(subject: Subject, study: Study, target: Target) -> Floats:
        background, table = background_rows(subject.train, modality, seed), table_of(study, modality)
        found = []
        for position in range(len(study)):
            rows = table.frame.iloc[study.rows[modality][position]]

            def score(frame: pd.DataFrame, position: int = position) -> Floats:
                asked = with_modality(study, position, modality, replace(table, frame=frame))
                return log_odds(subject.fitted.predict_proba(asked)[target.task][:, target.code])

            rng = np.random.default_rng([seed, position])
            values = [shapley_of_row(score, rows.iloc[[i]], background, rng) for i in range(len(rows))]
            found.append(np.mean(values, axis=0))
        return np.array(found)

    return shared


def background_rows(train: Study, modality: str, seed: int, most: int = BACKGROUND) -> pd.DataFrame:
    """Return one row of the table of each of up to `most` training patients, drawn by `seed`.

    Raises:
        StudyError: no training patient has a row.
    """
    index = train.rows[modality]
    owner = train.patient_codes[0][index.sample_of_row]
    first = pd.Series(index.rows).groupby(owner).first().to_numpy()
    if len(first) == 0:
        raise StudyError(f"no training patient has a row of '{modality}' to hold others against")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(first))[:most])
    return table_of(train, modality).frame.iloc[first[drawn]].reset_index(drop=True)


def table_of(study: Study, modality: str) -> Table:
    """Return a modality that must hold a table.

    Raises:
        StudyError: it holds something else.
    """
    found = study.modalities.get(modality)
    if not isinstance(found, Table):
        raise StudyError(f"modality '{modality}' of study '{study.name}' holds no table")
    return found


def with_modality(study: Study, position: int, modality: str, rows: Modality) -> Study:
    """Return one sample many times, each time with another row of a modality: one sample a row."""
    many = np.full(len(rows), position)
    ids = pd.Index([f"asked-{i}" for i in range(len(rows))], name="sample", dtype=object)
    index, modalities = {}, {}
    for name, held in study.modalities.items():
        index[name], needed = study.rows[name].take(many)
        modalities[name] = held.take(needed)
    return replace(
        study,
        samples=study.samples.iloc[many].set_axis(ids),
        labels=study.labels.iloc[many].set_axis(ids),
        modalities={**modalities, modality: rows},
        rows={**index, modality: RowIndex.one_each(len(rows))},
        unit="sample",
        quality=None,
    )
