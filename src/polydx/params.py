"""Check named parameters, as a user writes them in YAML, against the signature that will receive them."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, get_type_hints

import numpy as np
from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from polydx.errors import Problem

Adapter = TypeAdapter[Any]
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


def closest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that `name` was probably meant to be, or None if none is near.

    Case and the choice of `-` or `_` are overlooked.
    """
    plain = {_plain(option): option for option in options}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def unknown(kind: str, name: str, options: Iterable[str]) -> str:
    """Return the sentence about an unknown name: a suggestion where one is near, and all the options.

    Args:
        kind: what the name should be: `step`, `parameter`.
        name: what was found.
        options: the names there are.
    """
    options = list(options)
    meant = closest(name, options)
    suggestion = f" did you mean '{meant}'?" if meant else ""
    return f"unknown {kind} '{name}';{suggestion} expected one of: {', '.join(options) or '(none)'}"


def check_params(
    target: Callable[..., Any], params: Mapping[str, Any], where: str, hidden: Collection[str] = ()
) -> list[Problem]:
    """Return all that is wrong with calling `target(**params)`: unknown, missing and ill-typed parameters.

    Types and ranges are those of the annotations (`Annotated[int, Field(ge=1)]`, `Literal[...]`). They are read
    strictly: no text for a number, no number for a flag; but a list serves for a tuple, a whole number for a float, and
    NumPy's scalars and arrays for Python's numbers and lists. What has no annotation, or one that cannot be checked,
    takes anything.

    Args:
        target: a class or function.
        params: name -> value.
        where: the place in the user's file, put in front of each parameter's name.
        hidden: parameters that the program gives; to the user they do not exist.

    Returns:
        One problem a parameter, empty if the call is sound.
    """
    signature, adapters, open_ended = _signature(target)
    expected = {name: required for name, required in signature.items() if name not in hidden}
    found = []
    for name, value in params.items():
        place = f"{where}.{name}"
        if name in expected:
            found += [Problem(place, what) for what in _misfits(adapters[name], value)]
        elif not open_ended:
            found.append(Problem(place, unknown("parameter", str(name), expected)))
    missing = [name for name, required in expected.items() if required and name not in params]
    return found + [Problem(f"{where}.{name}", "is missing; it has no default") for name in missing]


@lru_cache(maxsize=256)
def _signature(target: Callable[..., Any]) -> tuple[dict[str, bool], dict[str, Adapter | None], bool]:
    """Return name -> whether required, name -> type check, and whether any other name is taken too."""
    parameters = inspect.signature(target).parameters.values()
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    expected = {p.name: p.default is p.empty for p in named}
    adapters = {p.name: _adapter(hints[p.name]) if p.name in hints else None for p in named}
    return expected, adapters, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _adapter(annotation: Any) -> Adapter | None:
    try:
        return TypeAdapter(annotation, config=STRICT)
    except PydanticSchemaGenerationError:
        return None


def _misfits(adapter: Adapter | None, value: Any) -> list[str]:
    """Return what is wrong with a value, as pydantic says it, with what was found."""
    if adapter is None:
        return []
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        return [] if _fits_as_json(adapter, value) else _sentences(error, value)
    return []


def _fits_as_json(adapter: Adapter, value: Any) -> bool:
    """Try the JSON reading of a list or text, which knows neither tuples nor paths and so takes their stand-ins."""
    if not isinstance(value, list | str):
        return False
    try:
        adapter.validate_json(json.dumps(value))
    except (ValidationError, TypeError, ValueError):
        return False
    return True


def _sentences(error: ValidationError, value: Any) -> list[str]:
    said = dict.fromkeys(e["msg"].replace("Input should be ", "").replace("'", "`") for e in error.errors())
    return [f"expected {' or '.join(said)}, found {value!r}"]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
