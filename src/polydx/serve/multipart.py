"""Forms of files, taken apart in memory: nothing of an upload is written to a disk, however large it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from polydx.io.source import FileBytes
from polydx.serve.refusals import RefusedError
from polydx.serve.schemas import MOST_NAME

Result = TypeVar("Result")

CHUNK = 1 << 18
MOST_FIELDS = 32
MOST_FIELD_BYTES = 1 << 18


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 62  # a temporary file on a disk from there on: never


def parse_form(content_type: str, body: bytes, most_files: int) -> list[tuple[str, str | FileBytes]]:
    """Return the fields of a form in their order: text, or a file under the last part of its name.

    Raises:
        RefusedError: no form, or more files or fields than are taken.
    """

    async def stream() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), CHUNK):
            yield body[start : start + CHUNK]

    parser = _InMemory(
        Headers({"content-type": content_type}),
        stream(),
        max_files=most_files,
        max_fields=MOST_FIELDS,
        max_part_size=MOST_FIELD_BYTES,
    )
    try:
        form = _run(parser.parse())
    except MultiPartException as error:
        many = error.message.startswith("Too many")
        raise RefusedError(413 if many else 400, "too-large" if many else "bad-form", error.message) from error
    except Exception as error:  # the parser indexes what it has not checked, such as a header without a name
        raise RefusedError(400, "bad-form", "the form cannot be read; send multipart/form-data") from error
    return [(name, _file(value) if isinstance(value, UploadFile) else value) for name, value in form.multi_items()]


def _run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine gives that never waits: all it reads is here, all it writes is in memory."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise RuntimeError("the form parser waits for something")


def _file(upload: UploadFile) -> FileBytes:
    name = PureWindowsPath(PurePosixPath(upload.filename or "file").name).name or "file"
    return FileBytes(name[-MOST_NAME:], upload.file.read())
