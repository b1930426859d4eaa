"""Flags for spectra that cannot be what the sample sent, found in the spectra as they were recorded.

Shapes: `n` spectra, `L` points of the wavenumber axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polydx.errors import SpectrumError

FLAT_RUN = 3


def saturated(values: ArrayLike, run: int = FLAT_RUN) -> NDArray[np.bool_]:
    """Return the spectra that were clipped at the detector's limit.

    A detector that is full records the same count point after point, so a spectrum counts as clipped if its own
    maximum stands in at least `run` points in a row. Noise alone makes the highest count stand twice in a row now
    and then, three times next to never. Ask this of the counts as recorded: resampling, smoothing or a baseline
    blur the flat top. A constant spectrum is flat at its maximum, and is flagged.

    Args:
        values: (n, L) counts.
        run: fewest equal points in a row.

    Returns:
        (n,) True where a spectrum is clipped.

    Raises:
        SpectrumError: `values` is no (n, L) array, or `run` is below 2.
    """
    top = _at_maximum(values)
    if run < 2:
        raise SpectrumError(f"a flat run needs at least 2 points, found run={run}")
    if top.shape[1] < run:
        return np.zeros(len(top), dtype=bool)
    counts = np.cumsum(np.pad(top, ((0, 0), (1, 0))), axis=1)  # (n, L + 1)
    return np.asarray((counts[:, run:] - counts[:, :-run] == run).any(axis=1))


def clipped_share(values: ArrayLike, run: int = FLAT_RUN) -> NDArray[np.float64]:
    """Return (n,) the share of a spectrum's points that stand at the limit; 0 where it is not saturated."""
    return np.where(saturated(values, run), _at_maximum(values).mean(axis=1), 0.0)


def _at_maximum(values: ArrayLike) -> NDArray[np.bool_]:
    spectra = np.asarray(values)
    if spectra.ndim != 2 or spectra.shape[1] == 0:
        raise SpectrumError(f"expected spectra of shape (n, L), found {spectra.shape}")
    return np.asarray(spectra == spectra.max(axis=1, keepdims=True))
