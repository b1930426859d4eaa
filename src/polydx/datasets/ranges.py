"""Arguments of simulated cohorts: each within its range, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from polydx.errors import ConfigError, Problem, counted

Ranges = Iterable[tuple[str, object, float, float]]
"""(name, value, lowest, highest) of each argument."""


def check_ranges(kind: str, name: object, wholes: Ranges, reals: Ranges, further: Iterable[Problem] = ()) -> None:
    """Refuse what cannot be drawn.

    Args:
        kind: the cohort, for the message.
        name: what its study shall be called.
        wholes: arguments that are whole numbers.
        reals: arguments that are numbers.
        further: what the caller found.

    Raises:
        ConfigError: listing every argument that is no number of its kind, or out of its range, and a name that cannot
            stand in front of a patient's id, or name a run folder.
    """
    problems = [*_outside(wholes, whole=True), *_outside(reals, whole=False), *_misnamed(name), *further]
    if problems:
        raise ConfigError(f"{counted(len(problems), 'argument')} of '{kind}' out of range", problems)


def _misnamed(name: object) -> Iterator[Problem]:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        yield Problem("name", f"expected letters, digits, '-' and '_', found {name!r}")


def _outside(rows: Ranges, *, whole: bool) -> Iterator[Problem]:
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    for name, value, low, high in rows:
        if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
            kind = "whole number" if whole else "number"
            yield Problem(name, f"expected a {kind} from {low:g} to {high:g}, found {value!r}")
