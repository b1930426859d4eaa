"""What keeps a search from being made, found before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from polydx.config import SearchConfig, Span
from polydx.errors import ConfigError, Problem
from polydx.params import unknown
from polydx.recipes.places import overlapping, placed

Check: TypeAlias = Callable[[Mapping[str, Any]], list[Problem]]
"""Returns what is wrong with a recipe's section."""


def search_problems(
    search: SearchConfig, written: Mapping[str, Any], tasks: Iterable[str], where: str, check: Check
) -> list[Problem]:
    """Return what is wrong with a search: each value of a list is put in its place, of a span both ends.

    A value that can only be with another value of another place is right.

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
    found += [
        Problem(f"{where}.search.space.{inner}", f"lies in '{outer}', which is searched too: give one of them")
        for outer, inner in overlapping(search.space)
    ]
    if found:
        return found
    values = {place: _values(choice) for place, choice in search.space.items()}
    for place, own in values.items():
        others = [(other, value) for other, listed in values.items() if other != place for value in listed]
        told = [what for value in own for what in _wrong_with(written, place, value, others, check)]
        found += [Problem(f"{where}.search.space.{place}", what) for what in dict.fromkeys(told)]
    return found


def _values(choice: list[Any] | Span) -> list[Any]:
    return choice if isinstance(choice, list) else [choice.low, choice.high]


def _wrong_with(
    written: Mapping[str, Any], place: str, value: Any, others: Sequence[tuple[str, Any]], check: Check
) -> list[str]:
    """Return what is wrong with a value; nothing, if it can be with a value of one other place."""
    try:
        problems = check(placed(written, {place: value}))
    except ConfigError as error:
        return [error.message]
    if problems and any(_fits(written, {place: value, other: second}, check) for other, second in others):
        return []
    return [f"{value}: {problem.what}" for problem in problems]


def _fits(written: Mapping[str, Any], settings: Mapping[str, Any], check: Check) -> bool:
    try:
        return not check(placed(written, settings))
    except ConfigError:
        return False
