"""Receive the body of a request, within the bounds of size, time and memory; nothing of it is written to a disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from starlette.requests import ClientDisconnect

from polydx.serve.options import MB, Options
from polydx.serve.refusals import RefusedError, too_large


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
    def request(self) -> Iterator[Share]:
        """Give the share of one request; what it holds at the end is given back."""
        share = Share(self)
        try:
            yield share
        finally:
            self.add(-share.mine)

    def add(self, more: int) -> None:
        """Hold so many bytes more, or less.

        Raises:
            RefusedError: all requests together would hold too much.
        """
        with self._lock:
            if more > 0 and self.now + more > self.most:
                raise RefusedError(503, "busy", "the server holds as much as it can; try again in a moment")
            self.now += more


@dataclass
class Share:
    """What one request holds.

    Attributes:
        held: what all hold.
        mine: bytes of this one.
    """

    held: Held
    mine: int = 0

    def take(self, more: int) -> None:
        """Hold so many bytes until the request is answered.

        Raises:
            RefusedError: too much for one request, or for all of them.
        """
        if self.mine + more > self.held.most_each:
            raise too_large(f"the request takes over {self.held.most_each // MB} MB unpacked; send less at a time")
        self.held.add(more)
        self.mine += more

    @contextmanager
    def borrowed(self, size: int) -> Iterator[None]:
        """Hold so many bytes for as long as something is done."""
        self.held.add(size)
        try:
            yield
        finally:
            self.held.add(-size)


async def read_body(request: Request, options: Options, share: Share) -> bytes:
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
                share.take(len(part))
                parts.append(part)
    except TimeoutError as error:
        raise RefusedError(408, "too-slow", f"the request took longer than {options.timeout:g} s to arrive") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "cut-off", "the request was cut off") from error
    return b"".join(parts)
