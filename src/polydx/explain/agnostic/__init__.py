"""Explanations of anything that turns measurements into scores: NumPy and pandas alone, no model is looked into."""

from polydx.explain.agnostic.images import occlude_patches
from polydx.explain.agnostic.modalities import modality_shares
from polydx.explain.agnostic.scores import log_odds
from polydx.explain.agnostic.shapley import exact_shapley, sampled_shapley
from polydx.explain.agnostic.spectra import occlude_windows
from polydx.explain.agnostic.tables import permuted_scores, shapley_of_row

__all__ = [
    "exact_shapley",
    "log_odds",
    "modality_shares",
    "occlude_patches",
    "occlude_windows",
    "permuted_scores",
    "sampled_shapley",
    "shapley_of_row",
]
