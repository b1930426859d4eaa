"""What the simulated tumour cohort has beside spectra: a picture of the lesion and a row of clinical values a patient.

Both follow the classes loosely, so that they help and do not settle anything. Rounded choices: nothing about disease
can be learnt from them.

Shapes: `P` patients, `S` side of a picture in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.datasets.lesions import Pictures, draw_lesions

IntArray = NDArray[np.int64]
Also: TypeAlias = Literal["image", "clinical"]

SIDE = 48
RADIUS, GROWTH, RADIUS_SD = 0.45, 0.10, 0.15  # at the middle T stage; log change a stage; of log radius otherwise
SPECKLE, COARSENING, SPECKLE_SD = 0.05, 0.22, 0.25  # at the middle grade; log change a grade; otherwise
MILLIMETRES, LONGER, LENGTH_SD = 22.0, 0.16, 0.35
NODES = ("none", "one", "several")
PALPABLE = ((0.80, 0.15), (0.60, 0.30), (0.45, 0.35), (0.35, 0.35), (0.25, 0.35))  # none, one; by N stage
SMOKING = ("never", "former", "current")
HOLES = 0.1  # share of cells that are empty


def tumour_pictures(classes: Mapping[str, IntArray], effect: float, rng: np.random.Generator) -> Pictures:
    """Draw a picture a patient: lesions grow with the T stage, their speckle coarsens with the grade.

    Args:
        classes: task -> (P,) codes.
        effect: factor on both.
        rng: where all else is drawn from.

    Returns:
        (P, S, S) grey, uint8.
    """
    chance = rng.standard_normal((2, len(classes["grade"])))
    radius = RADIUS * np.exp(effect * GROWTH * (classes["t_stage"] - 3) + RADIUS_SD * chance[0])
    speckle = SPECKLE * np.exp(effect * COARSENING * (classes["grade"] - 2) + SPECKLE_SD * chance[1])
    core = rng.uniform(-1, 1, len(radius))
    return draw_lesions(np.minimum(radius, 0.9), core, np.minimum(speckle, 0.3), SIDE, rng)


def tumour_table(
    classes: Mapping[str, IntArray], people: pd.DataFrame, effect: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw a row of clinical values a patient.

    Args:
        classes: task -> (P,) codes.
        people: P rows with `age` and `sex`, which tell nothing of the classes; nor does smoking.
        effect: how far the length follows the T stage, and the palpable nodes the N stage.
        rng: where all else is drawn from.

    Returns:
        P rows: `age` (years), `sex`, `smoking`, `length` of the lesion (mm), and `nodes` (ordered); a tenth of the
        cells is empty.
    """
    p = len(people)
    length = MILLIMETRES * np.exp(effect * LONGER * (classes["t_stage"] - 3) + LENGTH_SD * rng.standard_normal(p))
    usual = np.array(PALPABLE[1])
    bounds = np.cumsum(usual + min(effect, 1.0) * (np.array(PALPABLE)[classes["n_stage"]] - usual), axis=1)
    nodes = np.array(NODES, dtype=object)[(rng.random((p, 1)) > bounds).sum(axis=1)]
    columns = {
        "age": pd.Series(people["age"].to_numpy(dtype=np.float64)),
        "sex": pd.Series(people["sex"].to_numpy(dtype=object), dtype=object),
        "smoking": pd.Series(rng.choice(SMOKING, p), dtype=object),
        "length": pd.Series(np.round(length, 1)),
        "nodes": pd.Series(nodes).astype(pd.CategoricalDtype(list(NODES), ordered=True)),
    }
    return with_holes(columns, HOLES, rng)


def with_holes(columns: Mapping[str, pd.Series], share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table of the columns with that share of cells empty: None among categories, NaN elsewhere."""
    holes = rng.random((len(next(iter(columns.values()))), len(columns))) < share
    return pd.DataFrame(
        {
            name: column.mask(gone, None if column.dtype == object else np.nan)
            for (name, column), gone in zip(columns.items(), holes.T, strict=True)
        }
    )
