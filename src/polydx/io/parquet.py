"""Parquet files: typed columns, as they were written."""

from __future__ import annotations

import pandas as pd

from polydx.errors import ReadError
from polydx.io.files import refusal
from polydx.io.source import Source, handle
from polydx.io.typed import repeated_names


def read_parquet(path: Source) -> pd.DataFrame:
    """Return all columns of a Parquet file; an index stored by pandas comes back as a column.

    Raises:
        ReadError: broken, nested columns, or a name that stands twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(handle(path))
    except (pa.ArrowException, OSError) as error:
        raise refusal(ReadError, path, [f"is a broken Parquet file ({error})"]) from error
    found = [
        f"column '{f.name}' holds {f.type}; expected one value a cell"
        for f in table.schema
        if pa.types.is_nested(f.type)
    ]
    found += repeated_names(list(enumerate(table.column_names, 1)))
    if found:
        raise refusal(ReadError, path, found)
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def parquet_columns(path: Source) -> pd.DataFrame:
    """Return the columns of a Parquet file with their types, and no row: nothing of a long one is read.

    Raises:
        ReadError: broken.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        frame: pd.DataFrame = pq.read_schema(handle(path)).empty_table().to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise refusal(ReadError, path, [f"is a broken Parquet file ({error})"]) from error
    return frame
