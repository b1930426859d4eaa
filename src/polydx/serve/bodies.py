"""Receive the body of a request, within the bounds of size, time and memory; nothing of it is written to a disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from fastapi import Request
from starlette.requests import ClientDisconnect

from polydx.serve.options import MB, Options
from polydx.serve.refusals import RefusedError, too_large

Take: TypeAlias = Callable[[int], None]
"""Told how many bytes a request holds more; refuses what is too much."""


@dataclass
class Held:
    """The bytes that all requests hold at a time, as they came and unpacked.

    Attributes:
        most: of all together; more are told to come back.
        most_each: of one request.
        now: held at present.
    """

    most: int
    most_each: int
    now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def request(self) -> Iterator[Take]:
        """Give a function that takes bytes for one request; they are given back at the end."""
        mine = 0

        def take(more: int) -> None:
            nonlocal mine
            with self._lock:
                if mine + more > self.most_each:
                    raise too_large(f"the request takes over {self.most_each // MB} MB unpacked; send less at a time")
                if self.now + more > self.most:
                    raise RefusedError(503, "busy", "the server holds as much as it can; try again in a moment")
                mine, self.now = mine + more, self.now + more

        try:
            yield take
        finally:
            with self._lock:
                self.now -= mine


async def read_body(request: Request, options: Options, take: Take) -> bytes:
    """Return the body of a request, whether or not it says how long it is.

    Raises:
        RefusedError: longer or slower than the server takes, or cut off.
    """
    over = too_large(f"the request is over {options.max_mb:g} MB; send less at a time")
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed[:20]) > options.most_bytes:
        raise over
    parts, total = [], 0
    try:
        async with asyncio.timeout(options.timeout):
            async for part in request.stream():
                total += len(part)
                if total > options.most_bytes:
                    raise over
                take(len(part))
                parts.append(part)
    except TimeoutError as error:
        raise RefusedError(408, "too-slow", f"the request took longer than {options.timeout:g} s to arrive") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "cut-off", "the request was cut off") from error
    return b"".join(parts)
