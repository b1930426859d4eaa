"""Drawn pictures of lesions with known truth, for simulated cohorts, and where they are kept as files.

A lesion is a bright disc somewhere near the middle, with a core of its own brightness, over a speckled ground; no
picture is brighter or more contrasty than another for a reason that has to do with the lesion.

Shapes: `P` patients, `S` side of a picture in pixels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polydx.datasets.cache import cache_folder
from polydx.io.atomic import replacing

FloatArray = NDArray[np.float64]
Pictures = NDArray[np.uint8]

GROUND, LESION, CORE = 0.35, 0.30, 0.16  # brightness; what the lesion adds; what its core adds or takes away
SPECKLE_GRID = 7  # points a side, between which the speckle is smooth
EDGE = 0.05  # width of a border, in units of half a side


def draw_lesions(
    radius: FloatArray, core: FloatArray, speckle: FloatArray, side: int, rng: np.random.Generator
) -> Pictures:
    """Draw one picture a patient.

    Args:
        radius: (P,) of the lesion, in units of half a side.
        core: (P,) brightness of the core: 1 bright, 0 like the rest of the lesion, -1 dark.
        speckle: (P,) standard deviation of smooth speckle, in units of the whole range of brightness.
        side: S.
        rng: where place, speckle, noise and exposure are drawn from.

    Returns:
        (P, S, S) grey, uint8.
    """
    place = rng.uniform(-0.15, 0.15, (len(radius), 2))
    grain = rng.standard_normal((len(radius), SPECKLE_GRID, SPECKLE_GRID))
    exposure = np.exp(0.12 * rng.standard_normal((len(radius), 1, 1)))
    at = (np.arange(side) + 0.5) / side * 2 - 1
    distance = np.hypot(at[:, None] - place[:, 0, None, None], at - place[:, 1, None, None])  # (P, S, S)
    whole = _disc(distance, radius[:, None, None])
    inner = _disc(distance, 0.55 * radius[:, None, None])
    shade = GROUND + LESION * whole + CORE * core[:, None, None] * inner + speckle[:, None, None] * _smooth(grain, side)
    shade = exposure * shade + 0.03 * rng.standard_normal(shade.shape)
    return np.asarray(np.clip(np.rint(255 * shade), 0, 255).astype(np.uint8))


def keep_pictures(pictures: Pictures, study: str) -> tuple[Path, ...]:
    """Return files that hold the pictures, in the user's cache: what is there already is not written again.

    The folder is named by what the pictures show, so cohorts of other options, or of another version of polydx, never
    share one, and a file is there whole or not at all.

    Args:
        pictures: (P, S, S) grey, uint8.
        study: what the cohort is called; names a folder.

    Raises:
        ConfigError: the cache cannot be written.
    """
    from PIL import Image

    digest = hashlib.sha256(repr(pictures.shape).encode() + pictures.tobytes()).hexdigest()[:16]
    folder = cache_folder() / "simulated" / f"{study}-{digest}"
    digits = max(3, len(str(len(pictures))))
    paths = tuple(folder / f"P{i + 1:0{digits}d}.png" for i in range(len(pictures)))
    for path, picture in zip(paths, pictures, strict=True):
        if not path.is_file():
            with replacing(path) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
    return paths


def _disc(distance: FloatArray, radius: FloatArray) -> FloatArray:
    """Return 1 within the radius and 0 outside, with a soft border."""
    return np.asarray(1 / (1 + np.exp(np.clip((distance - radius) / EDGE, -50, 50))))


def _smooth(grid: FloatArray, side: int) -> FloatArray:
    """Return (P, S, S) between the points of (P, G, G), linearly."""
    at = np.linspace(0, grid.shape[1] - 1, side)
    weights = np.clip(1 - np.abs(at[:, None] - np.arange(grid.shape[1])), 0, 1)  # (S, G)
    # einsum, not @: its sums do not depend on how many threads the linear algebra library has.
    return np.asarray(np.einsum("sg,pgh->psh", weights, np.einsum("pgk,hk->pgh", grid, weights)))
