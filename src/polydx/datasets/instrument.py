"""A simulated Raman spectrometer: from ideal spectra to counts with background, noise and cosmic rays.

Shapes: `P` patients, `S` spectra of a patient, `L` points of the wavenumber axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Coefficients of the mean background in the Bernstein basis, from the low to the high end of the axis: autofluorescence
# under red or near-infrared light falls with the Raman shift.
MEAN_BACKGROUND = np.array([1.5, 1.3, 0.9, 0.8, 0.6, 0.5])

LIMITS = {
    "counts": (1.0, 1e6),
    "fluorescence": (0.0, 100.0),
    "read_noise": (0.0, 1e6),
    "cosmic_rays": (0.0, 100.0),
    "axis_error": (0.0, 50.0),
    "gain_sd": (0.0, 2.0),
}


@dataclass(frozen=True)
class Instrument:
    """What a spectrometer adds to the spectrum of a tissue.

    Attributes:
        counts: photons counted at the strongest band of an average spectrum; more counts, less shot noise.
        fluorescence: background relative to the strongest band, at the middle of the axis; 0 switches it off.
        read_noise: standard deviation of the detector's noise, in counts.
        cosmic_rays: mean number of cosmic-ray spikes a spectrum.
        axis_error: a centre's axis is wrong by a constant drawn from +- this many cm^-1.
        gain_sd: standard deviation of the log intensity between spectra (focus, laser power, density).
    """

    counts: float = 4000.0
    fluorescence: float = 2.0
    read_noise: float = 8.0
    cosmic_rays: float = 0.1
    axis_error: float = 1.0
    gain_sd: float = 0.2


def fluorescence(points: int, patients: int, spectra: int, rng: np.random.Generator) -> FloatArray:
    """Draw smooth backgrounds: polynomials of degree 5, alike within a patient, positive everywhere.

    Positive coefficients in the Bernstein basis keep a polynomial above zero between its ends.

    Returns:
        (P, S, L) backgrounds, about 1 at the middle of the axis.
    """
    degree = len(MEAN_BACKGROUND) - 1
    k, x = np.arange(degree + 1)[:, None], np.linspace(0.0, 1.0, points)
    binomial = np.array([1, 5, 10, 10, 5, 1])[:, None]
    basis = binomial * x**k * (1 - x) ** (degree - k)  # (degree + 1, L)
    level = 0.35 * rng.standard_normal((patients, 1, 1))
    shape = 0.2 * rng.standard_normal((patients, 1, degree + 1))
    spectrum = 0.1 * rng.standard_normal((patients, spectra, degree + 1))
    coefficients = MEAN_BACKGROUND * np.exp(level + shape + spectrum)  # (P, S, degree + 1)
    return np.asarray(np.einsum("psk,kl->psl", coefficients, basis))


def detect(expected: FloatArray, read_noise: float, rng: np.random.Generator) -> FloatArray:
    """Count photons: Poisson shot noise of the expected counts, then Gaussian read noise of the detector."""
    return rng.poisson(expected) + read_noise * rng.standard_normal(expected.shape)


def cosmic_rays(shape: tuple[int, ...], rate: float, height: float, rng: np.random.Generator) -> FloatArray:
    """Draw cosmic-ray hits, each on two neighbouring points.

    Args:
        shape: (..., L) of the result.
        rate: mean number of hits a spectrum.
        height: mean height of a hit.
        rng: where the hits are drawn from.

    Returns:
        (..., L) zeros, but for the spikes.
    """
    points = shape[-1]
    spikes = np.zeros((int(np.prod(shape[:-1])), points))
    hits = rng.poisson(rate, size=len(spikes))
    row = np.repeat(np.arange(len(spikes)), hits)
    column = rng.integers(0, points - 1, size=len(row))
    energy = height * rng.exponential(size=len(row))
    share = rng.uniform(0.5, 1.0, size=len(row))
    np.add.at(spikes, (row, column), energy * share)
    np.add.at(spikes, (row, column + 1), energy * (1 - share))
    return spikes.reshape(shape)
