"""Explanations of anything that turns measurements into scores: NumPy alone, no model is looked into."""

from polydx.explain.agnostic.scores import log_odds
from polydx.explain.agnostic.spectra import occlude_windows

__all__ = ["log_odds", "occlude_windows"]
