"""Read a study.yaml into its schemas, or say everything that is wrong with it, by key and line."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from polydx.config import Config, merge_patch
from polydx.errors import ConfigError, Problem, counted
from polydx.params import closest

KeyPath = tuple[str | int, ...]

BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "path": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a section of keys",
    "model": "a section of keys",
}
NOT_WRITTEN = ("*", "[key]")  # stand in places though the user wrote no such key


def read_config(path: str | Path) -> Config:
    """Return the checked content of a study.yaml.

    Raises:
        ConfigError: the file is missing, no YAML, or holds unknown keys or wrong values; all are listed.
    """
    return _whole(Path(path))[0]


def read_variants(path: str | Path) -> dict[str, Config]:
    """Return name -> checked content of every variant of a study.yaml, in its order; none if it has no `variants:`.

    Raises:
        ConfigError: as `read_config`, or a variant that would be wrong as a study.yaml of its own; all are listed.
    """
    config, content, lines = _whole(Path(path))
    plain = {key: value for key, value in content.items() if key != "variants"}
    found: dict[str, Config] = {}
    problems: list[Problem] = []
    for name in config.variants:
        try:
            found[name] = Config.model_validate(merge_patch(plain, content["variants"][name]))
        except ValidationError as error:
            own = {key[2:]: line for key, line in lines.items() if key[:2] == ("variants", name)}
            located = (_problem(e, lines | own) for e in error.errors())
            problems += [Problem(f"variants.{name}: {p.where}", p.what) for p in located]
    if problems:
        problems = list(dict.fromkeys(problems))
        raise ConfigError(f"{counted(len(problems), 'problem')} in the variants of {path}", problems)
    return found


def _whole(path: Path) -> tuple[Config, dict[str, Any], dict[KeyPath, int]]:
    """Return the checked content of a study.yaml, the content as it stands, and the line of every key."""
    if not path.is_file():
        raise ConfigError(f"no study file {path}: give a study.yaml (see `polydx run --help`)")
    content, lines = _parse(path)
    try:
        return Config.model_validate(content), content, lines
    except ValidationError as error:
        problems = list(dict.fromkeys(_problem(e, lines) for e in error.errors()))
        raise ConfigError(f"{counted(len(problems), 'problem')} in {path}", problems) from None


def to_yaml(config: Config) -> str:
    """Return the resolved configuration, defaults written out; `null` only where it overrules a default."""
    left_out = _idle_nulls(config) | ({} if config.variants else {"variants": True})
    content = config.model_dump(mode="json", exclude=left_out)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _idle_nulls(value: Any) -> dict[Any, Any]:
    """Return what `model_dump` shall leave out: fields that are null by default and still are."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        idle = {name: True for name, f in fields.items() if f.default is None and getattr(value, name) is None}
        return idle | {name: below for name in fields if (below := _idle_nulls(getattr(value, name)))}
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return {key: below for key, entry in entries if (below := _idle_nulls(entry))}


def _parse(path: Path) -> tuple[Any, dict[KeyPath, int]]:
    """Return plain content and the line of every key; a key given twice is refused."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise ConfigError(f"{path} is not YAML: {where}: {getattr(error, 'problem', error)}") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds no `study:` section")
    entries = list(_keys(node, ()))
    lines: dict[KeyPath, int] = {}
    twice = [
        Problem(f"line {line}", f"key '{_dotted(key)}' stands twice (first in line {lines[key]})")
        for key, line in entries
        if lines.setdefault(key, line) != line
    ]
    if twice:
        raise ConfigError(f"{counted(len(twice), 'problem')} in {path}", twice)
    return content, lines


def _keys(node: yaml.Node | None, above: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*above, str(key.value))
            yield path, key.start_mark.line + 1
            yield from _keys(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*above, i), value.start_mark.line + 1
            yield from _keys(value, (*above, i))


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _problem(error: Any, lines: Mapping[KeyPath, int]) -> Problem:
    """Turn one pydantic error into a sentence about a key and its line."""
    path, allowed = _walk(error["loc"])
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path = (*path, error["ctx"]["discriminator"].strip("'"))
    if path not in lines:
        path = tuple(part for part in path if part not in NOT_WRITTEN)
    known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in lines), ())
    where = _dotted(tuple(part for part in path if part not in NOT_WRITTEN)) or "the file"
    where += f" (line {lines[known]})" if known else ""
    return Problem(where, _sentence(error, str(path[-1]) if path else "", allowed))


def _sentence(error: Any, key: str, allowed: list[str]) -> str:
    """Return what is wrong with the value of a key."""
    kind, context, found = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "extra_forbidden":
        guess = closest(key, allowed)
        hint = f"did you mean '{guess}'?" if guess else f"known here: {', '.join(sorted(allowed))}"
        return f"unknown key '{key}'; {hint}"
    if kind in ("missing", "union_tag_not_found"):
        return f"'{key}' is required and not there"
    if kind == "union_tag_invalid":
        return _none_of(key, context["tag"], context["expected_tags"])
    if kind == "literal_error":
        return _none_of(key, found, context["expected"])
    if kind in BOUNDS:
        name, word = BOUNDS[kind]
        return f"must be {word} {context[name]:g}, found {_shown(found)}"
    expected = TYPES.get(kind.split("_")[0]) if kind.endswith(("_type", "_parsing", "_from_float")) else None
    if expected is not None:
        return f"must be {expected}, found {_shown(found)}"
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "must")
    simple = isinstance(found, str | int | float | bool) or found is None
    return f"{message}, found {_shown(found)}" if simple else message


def _none_of(key: str, found: Any, options: str) -> str:
    """Return the sentence about a word that is none of the options, which pydantic lists in quotes."""
    known = re.findall(r"'([^']*)'", options) or [options]
    guess = closest(found, known) if isinstance(found, str) else None
    hint = f"did you mean '{guess}'? " if guess else ""
    return f"{key} is {_shown(found)}; {hint}known: {', '.join(known)}"


def _shown(found: Any) -> str:
    """Return a value as the YAML has it; a list or a section by its sort alone."""
    if found is None or isinstance(found, bool):
        return {None: "nothing", True: "true", False: "false"}[found]
    if isinstance(found, Mapping):
        return "a section of keys"
    return "a list" if isinstance(found, list | tuple) else repr(found)


def _walk(loc: tuple[str | int, ...]) -> tuple[KeyPath, list[str]]:
    """Return the YAML path of a pydantic location (union tags removed) and the keys allowed where it ends."""
    path: list[str | int] = []
    allowed: list[str] = []
    at: Any = Config
    for part in loc:
        at = _bare(at)
        members = get_args(at) if get_origin(at) in (Union, types.UnionType) else ()
        tagged = [m for m in members if _tag(m) == part]
        if tagged:
            at = tagged[0]
            continue
        path.append(part)
        at, allowed = _below(at, part)
    return tuple(path), allowed


def _bare(at: Any) -> Any:
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    return at


def _tag(model: Any) -> str | None:
    """Return the value of a union member's `kind`."""
    kind = model.model_fields.get("kind") if isinstance(model, type) and issubclass(model, BaseModel) else None
    return get_args(kind.annotation)[0] if kind is not None and get_origin(kind.annotation) is Literal else None


def _below(at: Any, part: str | int) -> tuple[Any, list[str]]:
    """Return the type found under `part`, and the keys known at this level."""
    container = get_origin(at) in (dict, list, tuple)
    models = [] if container else [m for m in (at, *get_args(at)) if isinstance(m, type) and issubclass(m, BaseModel)]
    if models:
        fields = models[0].model_fields
        return (fields[part].annotation if part in fields else Any), list(fields)
    inner = [a for a in get_args(at) if a is not type(None)]
    return (inner[-1] if inner else Any), []
