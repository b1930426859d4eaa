"""Raman bands of tissue biochemistry, and how tumour classes move them, for simulated cohorts.

Positions follow the reviews of Movasaghi, Rehman & Rehman (2007), Applied Spectroscopy Reviews 42, 493-541, and
Talari et al. (2015), Applied Spectroscopy Reviews 50, 46-111, and the reference spectra of De Gelder et al. (2007),
Journal of Raman Spectroscopy 38, 1133-1147. Heights, widths and responses are rounded choices that give spectra of
the right look: they are no measurement, and nothing about disease can be learnt from them.

Shapes: `K` components, `L` points of the wavenumber axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError

FloatArray = NDArray[np.float64]


class Band(NamedTuple):
    """One band: position (cm^-1), height relative to its component's strongest, full width at half maximum (cm^-1)."""

    position: float
    height: float
    width: float


def _bands(*rows: tuple[float, float, float]) -> tuple[Band, ...]:
    return tuple(Band(*row) for row in rows)


COMPONENTS: Mapping[str, tuple[Band, ...]] = {
    # Amide I and III, CH2 and CH3 deformation, and the ring modes of phenylalanine.
    "protein": _bands(
        (525, 0.20, 50),
        (621, 0.10, 10),
        (940, 0.25, 40),
        (1003, 0.90, 9),
        (1032, 0.20, 14),
        (1126, 0.20, 18),
        (1208, 0.25, 22),
        (1245, 0.50, 45),
        (1325, 0.60, 45),
        (1448, 1.00, 30),
        (1605, 0.20, 16),
        (1655, 0.80, 42),
    ),
    # Backbone, proline and hydroxyproline rings, and the two amide III bands of the triple helix.
    "collagen": _bands(
        (815, 0.35, 18),
        (855, 0.70, 18),
        (875, 0.50, 18),
        (920, 0.45, 20),
        (938, 0.60, 20),
        (1245, 0.70, 36),
        (1270, 0.60, 30),
        (1451, 1.00, 30),
        (1667, 0.90, 42),
    ),
    "lipid": _bands(
        (719, 0.15, 14),
        (1065, 0.35, 20),
        (1082, 0.30, 24),
        (1128, 0.30, 18),
        (1268, 0.25, 20),
        (1301, 0.75, 22),
        (1440, 1.00, 28),
        (1656, 0.60, 22),
        (1745, 0.30, 22),
    ),
    "nucleic_acid": _bands(
        (670, 0.25, 16),
        (728, 0.45, 16),
        (785, 1.00, 18),
        (1092, 0.75, 28),
        (1340, 0.60, 28),
        (1375, 0.45, 24),
        (1485, 0.40, 20),
        (1577, 0.60, 20),
    ),
    "tryptophan": _bands((752, 1.00, 16), (880, 0.45, 16), (1552, 0.80, 18)),
    "tyrosine": _bands((643, 0.50, 14), (830, 1.00, 18), (850, 0.80, 18), (1174, 0.45, 16), (1615, 0.60, 18)),
    "glycogen": _bands((480, 1.00, 24), (852, 0.60, 22), (938, 0.80, 26), (1082, 0.50, 34), (1125, 0.50, 28)),
    "carotenoid": _bands((1006, 0.25, 14), (1156, 0.85, 16), (1520, 1.00, 18)),
}

ABUNDANCE: Mapping[str, float] = {
    "protein": 1.00,
    "collagen": 0.45,
    "lipid": 0.50,
    "nucleic_acid": 0.25,
    "tryptophan": 0.12,
    "tyrosine": 0.18,
    "glycogen": 0.20,
    "carotenoid": 0.15,
}

# Change of a component's log concentration from one class to the next, in the order of the task's classes. A component
# answers to one task of a cohort only, so that the truth about a task is a plain list of bands.
RESPONSES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "t_stage": {
        "collagen": (0.60, 0.40, 0.20, 0.0, -0.20, -0.40, -0.60),
        "tyrosine": (-0.40, 0.0, 0.30, 0.45, 0.30, 0.0, -0.40),
    },
    "n_stage": {
        "lipid": (0.50, 0.25, 0.0, -0.25, -0.50),
        "carotenoid": (0.70, 0.35, 0.0, -0.35, -0.70),
    },
    "grade": {
        "nucleic_acid": (-0.50, -0.25, 0.0, 0.25, 0.50),
        "tryptophan": (-0.50, -0.25, 0.0, 0.25, 0.50),
        "glycogen": (-0.25, 0.35, 0.35, 0.0, -0.50),
    },
    "disease": {
        "nucleic_acid": (-0.12, 0.12),
        "collagen": (0.12, -0.12),
    },
}


def informative_bands(task: str) -> list[float]:
    """Return the bands that a simulated task really moves: what a true explanation should point at.

    Tasks of a cohort are correlated, so bands of another task may help too, by way of its classes.

    Args:
        task: `t_stage`, `n_stage` or `grade` of the tumour cohort, or `disease` of the two-class cohort.

    Returns:
        Band positions in cm^-1. The first is the band where the classes change the average spectrum most in
        proportion to its height; bands under a stronger one of another component come late.

    Raises:
        ConfigError: no simulated study has this task.
    """
    if task not in RESPONSES:
        raise ConfigError(f"no simulated task '{task}'; expected one of: {', '.join(RESPONSES)}")
    names = list(COMPONENTS)
    moved = [(band.position, name) for name in RESPONSES[task] for band in COMPONENTS[name]]
    spectra = component_spectra(np.array([position for position, _ in moved]))  # (K, bands)
    own = spectra[[names.index(name) for _, name in moved], np.arange(len(moved))]
    change = own * [np.ptp(RESPONSES[task][name]) for _, name in moved] / spectra.sum(axis=0)
    return [moved[i][0] for i in np.argsort(-change, kind="stable")]


def component_spectra(axis: FloatArray, shift: float = 0.0) -> FloatArray:
    """Return each component's spectrum at its usual abundance, the strongest band of their sum being 1.

    A band is a pseudo-Voigt profile: half Gaussian, half Lorentzian, of one width.

    Args:
        axis: (L,) wavenumbers in cm^-1.
        shift: by how much the instrument reads too high, in cm^-1.

    Returns:
        (K, L) spectra in the order of `COMPONENTS`.
    """
    spectra = np.stack([ABUNDANCE[name] * _profile(axis - shift, bands) for name, bands in COMPONENTS.items()])
    return np.asarray(spectra / spectra.sum(axis=0).max())


def _profile(axis: FloatArray, bands: tuple[Band, ...]) -> FloatArray:
    position, height, width = np.array(bands).T[:, :, None]
    u = 2 * (axis - position) / width  # (bands, L), 1 at half maximum
    profile = 0.5 * np.exp(-np.log(2) * u**2) + 0.5 / (1 + u**2)
    return np.asarray((height * profile).sum(axis=0))
