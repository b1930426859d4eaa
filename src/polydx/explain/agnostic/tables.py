"""Columns of a table: what a score owes to each, and what is lost when a column says nothing of its patient.

Both hold a sample against rows of other patients, column by column, so that a column's missing values, categories and
units stay what they are.

Shapes: `N` samples, `D` columns, `R` rows of other patients, `Q` coalitions of columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import ConfigError
from polydx.explain.agnostic.shapley import exact_shapley, sampled_shapley

Floats = NDArray[np.float64]
IntArray = NDArray[np.int64]
FrameScore = Callable[[pd.DataFrame], Floats]
"""Rows of a table -> (n, ...) scores."""

EXACT_UP_TO = 8


def shapley_of_row(
    score: FrameScore, row: pd.DataFrame, background: pd.DataFrame, rng: np.random.Generator, orders: int = 64
) -> Floats:
    """Return (D, ...) what each column adds to the score of one row, over the mean score of the background.

    A coalition of columns is worth the mean score of the background rows with the row's own values in those columns
    (the marginal expectation). The values add up to the row's score less the mean of the background's. Up to
    `EXACT_UP_TO` columns all coalitions are asked about, with more sampled orders.

    Args:
        score: of rows.
        row: the one row, with D columns.
        background: (R,) rows with the same columns and dtypes.
        rng: draws the orders, where they are sampled.
        orders: how many.

    Raises:
        ConfigError: another number of rows than one, other columns, or no background.

    Reference: Štrumbelj & Kononenko (2014), Knowledge and Information Systems 41, 647-665.
    """
    if len(row) != 1 or list(row.columns) != list(background.columns) or len(background) == 0:
        raise ConfigError("Shapley values of a row need one row, and background rows with the same columns")
    columns, count = list(row.columns), len(background)

    def value(coalitions: NDArray[np.bool_]) -> Floats:
        own = np.repeat(coalitions, count, axis=0)  # (Q R, D)
        frame = mixed(background, row, np.tile(np.arange(count), len(coalitions)), own)
        scores = score(frame)
        return np.asarray(scores.reshape(len(coalitions), count, *scores.shape[1:]).mean(axis=1))

    if len(columns) <= EXACT_UP_TO:
        return exact_shapley(value, len(columns))
    return sampled_shapley(value, len(columns), rng, orders)


def mixed(background: pd.DataFrame, row: pd.DataFrame, rows: NDArray[np.int64], own: NDArray[np.bool_]) -> pd.DataFrame:
    """Return background rows (by number) with the row's value where `own` (n, D) says so; dtypes stay."""
    frame = background.iloc[rows].reset_index(drop=True)
    for place, column in enumerate(background.columns):
        values = frame[column].copy()
        values[own[:, place]] = row[column].iloc[0]
        frame[column] = values.astype(background[column].dtype)
    return frame


def permuted_scores(
    score: FrameScore, frame: pd.DataFrame, donors: pd.DataFrame, lend: Callable[[], IntArray], repeats: int
) -> Floats:
    """Return (D, R, N, ...) scores of samples when one of the D columns holds what other rows lend.

    Args:
        score: (N, ...) of samples, from rows like those of `frame`.
        frame: (n,) the samples' rows.
        donors: rows of other patients, with the same columns and dtypes.
        lend: (n,) which donor lends to each row, drawn anew at each call.
        repeats: R, how often each column is lent.

    Reference: Breiman (2001), Machine Learning 45, 5-32; Fisher, Rudin & Dominici (2019), JMLR 20(177).
    """
    found = []
    for column in frame.columns:
        for _ in range(repeats):
            changed = frame.copy()
            changed[column] = donors[column].iloc[lend()].set_axis(frame.index).astype(frame[column].dtype)
            found.append(score(changed))
    return np.array(found).reshape(len(frame.columns), repeats, *found[0].shape)
