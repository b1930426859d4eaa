"""Files that are whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from polydx.errors import ConfigError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on leaving without error it becomes `path`, else it is removed.

    Raises:
        ConfigError: `path` cannot be written: a folder in its place or a file in place of its folder, no permission,
            no space left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _claim(path, temporary)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):  # the error on its way says more
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out whether `path` could be written, before work is spent on what shall stand there.

    Raises:
        ConfigError: it could not.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _claim(path, temporary)
        temporary.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; NaN and infinities are refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _claim(path: Path, temporary: Path) -> None:
    """Make the folder and an empty temporary file: what cannot be written says so here, whatever writes later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    temporary.touch()


def _unwritable(path: Path, error: OSError) -> ConfigError:
    above = next((folder for folder in path.parents if folder.exists()), None)
    if above is not None and not above.is_dir():
        return ConfigError(f"{path} cannot be written: {above} is a file, not a folder; name another place")
    why = error.strerror or str(error)
    return ConfigError(f"{path} cannot be written: {why}; name another place, or mend permissions or free space there")
