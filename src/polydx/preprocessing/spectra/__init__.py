"""Preparing spectra: scikit-learn transformers over (N, L) arrays, one class a step.

`STEPS` maps the names used in YAML to the classes. Steps that treat each spectrum on its own give a row the same
answer, to the last bit, alone and in any batch.
"""

from __future__ import annotations

from polydx.preprocessing.spectra.axis import Crop, Resample, common_axis, resample_onto
from polydx.preprocessing.spectra.base import SpectralStep
from polydx.preprocessing.spectra.baseline import AirPLS, ArPLS, AsLS
from polydx.preprocessing.spectra.columns import PCA, SelectBest, Standardise
from polydx.preprocessing.spectra.polynomial import PolynomialBaseline
from polydx.preprocessing.spectra.repair import ClipNegative, Despike
from polydx.preprocessing.spectra.scatter import MSC, SNV, AreaNorm, MinMaxNorm, VectorNorm
from polydx.preprocessing.spectra.smoothing import SavitzkyGolay

STEPS: dict[str, type[SpectralStep]] = {
    "crop": Crop,
    "resample": Resample,
    "clip_negative": ClipNegative,
    "despike": Despike,
    "arpls": ArPLS,
    "asls": AsLS,
    "airpls": AirPLS,
    "polynomial_baseline": PolynomialBaseline,
    "savitzky_golay": SavitzkyGolay,
    "snv": SNV,
    "vector_norm": VectorNorm,
    "area_norm": AreaNorm,
    "min_max_norm": MinMaxNorm,
    "msc": MSC,
    "standardise": Standardise,
    "pca": PCA,
    "select_best": SelectBest,
}

__all__ = [
    "MSC",
    "PCA",
    "SNV",
    "STEPS",
    "AirPLS",
    "ArPLS",
    "AreaNorm",
    "AsLS",
    "ClipNegative",
    "Crop",
    "Despike",
    "MinMaxNorm",
    "PolynomialBaseline",
    "Resample",
    "SavitzkyGolay",
    "SelectBest",
    "SpectralStep",
    "Standardise",
    "VectorNorm",
    "common_axis",
    "resample_onto",
]
