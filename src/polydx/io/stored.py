"""JSON that polydx wrote, checked when it is read back: a file may have been edited, cut short or mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from polydx.errors import PolydxError, Problem, counted
from polydx.study import Task


def check_stored(found: Any, schema: Any, path: Path, error: type[PolydxError], remedy: str) -> Any:
    """Return the content as `schema` has it.

    Args:
        found: what stands in the file.
        schema: a type that pydantic knows: a model, `dict[str, int]`, ...
        path: the file, for the message.
        error: class to raise.
        remedy: what to do, the end of the message.

    Raises:
        PolydxError: of the class `error`, listing every key that is missing or of another type.
    """
    try:
        return TypeAdapter(schema).validate_python(found)
    except ValidationError as wrong:
        problems = [Problem(".".join(map(str, e["loc"])) or "the file", e["msg"]) for e in wrong.errors()]
    raise error(f"{counted(len(problems), 'problem')} in {path}: {remedy}", problems)


def check_tasks(tasks: dict[str, Task], path: Path, error: type[PolydxError], remedy: str) -> dict[str, Task]:
    """Return the tasks if each can be asked.

    Raises:
        PolydxError: of the class `error`, listing what is wrong with them.
    """
    problems = [problem for name, task in tasks.items() for problem in task.problems(name, tasks)]
    if problems:
        raise error(f"{counted(len(problems), 'problem')} in {path}: {remedy}", problems)
    return tasks
