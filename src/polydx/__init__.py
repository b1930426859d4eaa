"""polydx: diagnostic classifiers from patients' spectra, images and tables, validated on patients never seen.

Heavy imports (torch, scikit-learn, matplotlib) happen inside the functions that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Result", "Study", "__version__", "cross_validate", "load_study"]

if TYPE_CHECKING:
    from polydx.datasets.catalogue import load_study
    from polydx.study import Study
    from polydx.validation.cross_validation import Result, cross_validate

_HOMES = {
    "load_study": "polydx.datasets.catalogue",
    "cross_validate": "polydx.validation.cross_validation",
    "Result": "polydx.validation.cross_validation",
    "Study": "polydx.study",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'polydx' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
