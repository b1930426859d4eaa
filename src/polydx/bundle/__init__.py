"""Bundles: a trained model as one file that anyone can run, without torch or scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Predictor", "load"]

if TYPE_CHECKING:
    from polydx.bundle.predictor import Predictor, load


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used."""
    if name not in __all__:
        raise AttributeError(f"module 'polydx.bundle' has no attribute '{name}'")
    from polydx.bundle import predictor

    return getattr(predictor, name)
