"""What keeps a search from being made, found before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from polydx.config import SearchConfig
from polydx.errors import ConfigError, Problem
from polydx.params import unknown
from polydx.recipes.places import placed

Check: TypeAlias = Callable[[Mapping[str, Any]], list[Problem]]
"""Returns what is wrong with a recipe's section."""


def search_problems(
    search: SearchConfig, written: Mapping[str, Any], tasks: Iterable[str], where: str, check: Check
) -> list[Problem]:
    """Return what is wrong with a search: each value of a list is put in its place, of a span both ends.

    Args:
        search: of the recipe.
        written: the recipe's section without it.
        tasks: of the study.
        where: place of the recipe.
        check: tells what is wrong with a section.
    """
    known = list(tasks)
    found = [
        Problem(f"{where}.search.tasks", unknown("task", name, known))
        for name in search.tasks or ()
        if name not in known
    ]
    for place, choice in search.space.items():
        values = choice if isinstance(choice, list) else [choice.low, choice.high]
        told = [what for value in values for what in _wrong_with(written, place, value, check)]
        found += [Problem(f"{where}.search.space.{place}", what) for what in dict.fromkeys(told)]
    return found


def _wrong_with(written: Mapping[str, Any], place: str, value: Any, check: Check) -> list[str]:
    try:
        section = placed(written, {place: value})
    except ConfigError as error:
        return [error.message]
    return [f"{value}: {problem.what}" for problem in check(section)]
