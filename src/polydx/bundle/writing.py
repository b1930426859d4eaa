"""Answers as CSV, Parquet or JSON, written a piece at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from polydx.errors import ConfigError
from polydx.io.atomic import replacing

Write = Callable[[pd.DataFrame], None]
ENDINGS = (".csv", ".parquet", ".json")


def check_ending(path: Path) -> None:
    """Refuse a file whose ending says nothing of its form.

    Raises:
        ConfigError: it is none of .csv, .parquet, .json.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: answers are written as {', '.join(ENDINGS)}; name the file so")


@contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Give a function that appends answers; the file is there once all are written, or not at all.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    check_ending(path)
    made = {".csv": _csv, ".parquet": _parquet, ".json": _json}[path.suffix.lower()]
    with replacing(path) as temporary, made(temporary) as write:
        yield write


def as_text(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers with lists as text, as a cell of a CSV holds them."""
    return answers.assign(**{name: answers[name].map("; ".join) for name in _lists(answers)})


def _lists(answers: pd.DataFrame) -> list[str]:
    """Return the columns whose cells are lists."""
    return [str(name) for name in answers if len(answers) and isinstance(answers[name].iloc[0], list)]


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda answers: as_text(answers).to_csv(file, index=False, header=file.tell() == 0)


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened: list[Any] = []

    def write(answers: pd.DataFrame) -> None:
        table = pa.Table.from_pandas(answers, preserve_index=False)
        for name in _lists(answers):  # of empty lists, no type can be told
            at = table.column_names.index(name)
            table = table.set_column(at, name, pa.array(answers[name].tolist(), pa.list_(pa.string())))
        if not opened:
            opened.append(pq.ParquetWriter(path, table.schema))
        opened[0].write_table(table)

    try:
        yield write
    finally:
        for writer in opened:
            writer.close()


@contextmanager
def _json(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        file.write("[")

        def write(answers: pd.DataFrame) -> None:
            for record in answers.to_dict("records"):
                file.write(("\n" if file.tell() == 1 else ",\n") + json.dumps(record, ensure_ascii=False))

        yield write
        file.write("\n]\n")
