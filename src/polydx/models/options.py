"""Names and options that come from outside, checked before torch sees them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from polydx.errors import ConfigError


def known(name: object, names: Collection[object], what: str) -> None:
    """Refuse a name that is not among `names`, and suggest the nearest one.

    Raises:
        ConfigError: the name is unknown; the message lists the known ones.
    """
    if name in names:
        return
    near = difflib.get_close_matches(str(name), [str(n) for n in names], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"unknown {what} {name!r}; expected one of {', '.join(str(n) for n in names)}.{hint}")


def check_options(
    builder: Callable[..., Any], options: Mapping[str, Any], what: str, given: Iterable[str] = ()
) -> None:
    """Refuse options that `builder` does not take, and the lack of one that it needs.

    Args:
        builder: the function or class that the options are meant for.
        options: keyword -> value.
        what: how the message names the builder, such as `backbone 'cnn'`.
        given: parameters that the caller passes itself and that are no options.

    Raises:
        ConfigError: an unknown or a missing option; the message names it.
    """
    own = {name: p for name, p in inspect.signature(builder).parameters.items() if name not in set(given)}
    for option in options:
        known(option, list(own) or ["none"], f"option of {what}")
    missing = [name for name, p in own.items() if p.default is inspect.Parameter.empty and name not in options]
    if missing:
        raise ConfigError(f"{what} needs the option {', '.join(repr(name) for name in missing)}")


def builder_defaults(builder: Callable[..., Any]) -> dict[str, Any]:
    """Return the options of `builder` that have a default, with it."""
    found = inspect.signature(builder).parameters
    return {name: p.default for name, p in found.items() if p.default is not inspect.Parameter.empty}
