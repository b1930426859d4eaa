"""The predictions table: one row a sample, task and class; every metric, plot and test reads this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from polydx.errors import PolydxError, ReadError
from polydx.io.atomic import replacing
from polydx.recipes.protocol import Probabilities
from polydx.study import Study

SCHEMA = pa.schema(
    [
        ("recipe", pa.string()),
        ("seed", pa.int64()),
        ("fold", pa.int64()),
        ("sample", pa.string()),
        ("patient", pa.string()),
        ("task", pa.string()),
        ("level", pa.string()),
        ("class", pa.string()),
        ("label", pa.string()),
        ("probability", pa.float64()),
        ("threshold", pa.float64()),
        ("modalities", pa.list_(pa.string())),
    ]
)


SCENARIOS = SCHEMA.append(pa.field("scenario", pa.string()))
"""Of predictions for samples that modalities were taken from."""


def predictions_frame(
    study: Study,
    probabilities: Probabilities,
    *,
    recipe: str,
    seed: int,
    fold: int,
    thresholds: Mapping[str, float],
    modalities: Sequence[str],
) -> pd.DataFrame:
    """Return the rows of one fold.

    Args:
        study: the test samples.
        probabilities: task -> (N, K), in the order of the study's samples.
        recipe: its name.
        seed: of the repetition.
        fold: number of the fold.
        thresholds: task -> operating point, where one was fitted.
        modalities: those the recipe uses; each row lists those its sample has.

    Raises:
        PolydxError: a probability is not finite, or the classes of a sample do not sum to 1.
    """
    used = [[m for m in modalities if study.present(m)[i]] for i in range(len(study))]
    frames = []
    for name, task in study.tasks.items():
        values, classes = np.asarray(probabilities[name], dtype=np.float64), np.array(task.classes, dtype=object)
        _check(values, recipe, seed, fold, name)
        n, k = values.shape
        codes = study.label_codes(name)
        labels = np.array([task.classes[c] if c >= 0 else None for c in codes], dtype=object)
        frames.append(
            pd.DataFrame(
                {
                    "recipe": recipe,
                    "seed": seed,
                    "fold": fold,
                    "sample": np.repeat(study.ids, k),
                    "patient": np.repeat(study.patients, k),
                    "task": name,
                    "level": task.level,
                    "class": np.tile(classes, n),
                    "label": np.repeat(labels, k),
                    "probability": values.ravel(),
                    "threshold": thresholds.get(name, np.nan),
                    "modalities": [listed for listed in used for _ in range(k)],
                }
            )
        )
    whole = pd.concat(frames, ignore_index=True)
    return _frame(pa.Table.from_pandas(whole, schema=SCHEMA, preserve_index=False))  # the types a file gives back


def no_predictions() -> pd.DataFrame:
    """Return a table without a row."""
    return _frame(SCHEMA.empty_table())


def write_predictions(frame: pd.DataFrame, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the table, with its `scenario` if it has one, under a temporary name first, so that a file is whole."""
    schema = SCENARIOS if "scenario" in frame else SCHEMA
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(dict(metadata or {})), temporary)


def read_predictions(path: Path) -> pd.DataFrame:
    """Return a table that `write_predictions` wrote.

    Raises:
        ReadError: no such file, or not such a table.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ReadError(f"{path} is no predictions table: {error}") from None
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ReadError(f"{path} has no column '{missing[0]}'; a predictions table has {', '.join(SCHEMA.names)}")
    return _frame(table)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the strings stored beside the table, or {} if the file is not there or not whole."""
    try:
        found = pq.read_schema(path).metadata
    except (OSError, pa.ArrowException):
        return {}
    return {k.decode(): v.decode() for k, v in (found or {}).items()}


def _frame(table: pa.Table) -> pd.DataFrame:
    names = [*SCHEMA.names, *(["scenario"] if "scenario" in table.column_names else [])]
    frame: Any = table.select(names).to_pandas()
    texts = ("recipe", "sample", "patient", "task", "level", "class", "label", *names[len(SCHEMA.names) :])
    typed: pd.DataFrame = frame.astype(dict.fromkeys(texts, object))
    return typed


def _check(values: np.ndarray, recipe: str, seed: int, fold: int, task: str) -> None:
    where = f"recipe '{recipe}', seed {seed}, fold {fold}, task '{task}'"
    if not np.isfinite(values).all():
        raise PolydxError(
            f"{where}: the model gave a probability that is not a number; lower its learning rate or scale its input"
        )
    if np.abs(values.sum(axis=1) - 1).max(initial=0) > 1e-6:
        raise PolydxError(f"{where}: probabilities of a sample do not sum to 1")
