"""A fitted recipe as a bundle on the disk, without graphs: what torch reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polydx.io.parts import write_parts
from polydx.recipes.store import describe, packed


def save_model(path: Path, fitted: Any, recipe: Any, study: Any) -> Path:
    write_parts(path, packed(*describe(fitted, recipe, study, {"study": study.name})), {})
    return path
