"""How much a network's fused vector takes from each modality, sample by sample: a table beside the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import ReadError
from polydx.io.atomic import replacing
from polydx.study import Study

COLUMNS = ("recipe", "seed", "fold", "sample", "patient", "modality", "weight")
TEXTS = dict.fromkeys(("recipe", "sample", "patient", "modality"), object)


def weights_frame(
    study: Study, weights: Mapping[str, NDArray[np.float64]], recipe: str, seed: int, fold: int
) -> pd.DataFrame:
    """Return one row a sample and modality that the sample has.

    Args:
        study: N samples.
        weights: modality -> (N,) its share; NaN where the sample lacks it.
        recipe: its name.
        seed: of the repetition.
        fold: number of the fold.
    """
    about = {"recipe": recipe, "seed": seed, "fold": fold, "sample": study.ids, "patient": study.patients}
    frames = [
        pd.DataFrame({**about, "modality": name, "weight": np.asarray(values, dtype=np.float64)})
        for name, values in weights.items()
    ]
    whole = pd.concat(frames, ignore_index=True).dropna(subset="weight").astype(TEXTS)
    return whole.reset_index(drop=True)


def write_weights(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet, whole or not at all."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_weights(path: Path) -> pd.DataFrame:
    """Return a table that `write_weights` wrote.

    Raises:
        ReadError: not such a table.
    """
    try:
        found = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} is no table of modality weights: {error}") from None
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise ReadError(f"{path} has no column '{missing[0]}'; a table of modality weights has {', '.join(COLUMNS)}")
    return found[list(COLUMNS)].astype(TEXTS)
