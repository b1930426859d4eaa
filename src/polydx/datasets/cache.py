"""Where polydx keeps what it fetched, drew or computed for this user."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache of named studies."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "polydx"
