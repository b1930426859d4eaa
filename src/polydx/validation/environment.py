"""Which software computed something: versions, without names of users or hosts."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from polydx import __version__

PACKAGES = (
    "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "xgboost-cpu", "torch", "lightning-fabric", "monai",
    "pybaselines",
)  # fmt: skip


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that compute, those that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def environment() -> dict[str, Any]:
    """Return versions and the kind of machine."""
    return {
        "polydx": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": package_versions(),
        "byteorder": sys.byteorder,
    }
