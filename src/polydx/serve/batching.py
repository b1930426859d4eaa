"""Concurrent requests become one call of the model: what waits is gathered, answered together and taken apart again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from polydx.serve.refusals import RefusedError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

GATHER_SECONDS = 0.004
MOST_TOGETHER = 256
MOST_WAITING = 50_000
SIDE_BY_SIDE = 2
"""Calls of a model at a time: a long one leaves a way past it."""


@dataclass
class _Waiting(Generic[Item]):
    """The items of one request, and where its answers go."""

    items: Sequence[Item]
    future: asyncio.Future[Any]


class Batcher(Generic[Item, Answer]):
    """Gathers the items of concurrent requests for one function.

    A request that is alone is answered at once; where others are on their way, they are awaited for a few
    milliseconds. If a joint call fails, its halves are tried, so that an error stays with its request.

    Args:
        call: items -> as many answers, in their order; runs in a thread.
        pool: whose threads run it.
        gather: seconds to wait for others.
        together: the most items of a joint call; a request with more goes alone.
        waiting: the most items that wait at a time.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Sequence[Answer]],
        pool: Executor,
        gather: float = GATHER_SECONDS,
        together: int = MOST_TOGETHER,
        waiting: int = MOST_WAITING,
    ) -> None:
        self.call, self.pool, self.gather, self.together, self.most_waiting = call, pool, gather, together, waiting
        self.queue: list[_Waiting[Item]] = []
        self.coming = self.running = self.calls = self.items = 0
        self.changed = asyncio.Event()
        self.worker: asyncio.Task[None] | None = None
        self.background: set[asyncio.Task[None]] = set()

    @contextmanager
    def announced(self) -> Iterator[Callable[[], None]]:
        """Say that a request is on its way; call what is given once its items are there, or never will be."""
        self.coming += 1
        arrived = False

        def arrive() -> None:
            nonlocal arrived
            if not arrived:
                arrived = True
                self.coming -= 1
                self.changed.set()

        try:
            yield arrive
        finally:
            arrive()

    async def __call__(self, items: Sequence[Item]) -> Sequence[Answer]:
        """Return the answers to these items.

        Raises:
            PolydxError: what the function refuses of these items, or whatever else it raises for them.
            RefusedError: too much waits already.
        """
        if sum(len(w.items) for w in self.queue) + len(items) > self.most_waiting:
            raise RefusedError(503, "busy", "too many requests wait; try again in a moment")
        waiting = _Waiting(items, asyncio.get_running_loop().create_future())
        self.queue.append(waiting)
        self.changed.set()
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        answers: Sequence[Answer] = await waiting.future
        return answers

    async def _work(self) -> None:
        while self.queue:
            await self._gather()
            while self.running >= SIDE_BY_SIDE:
                self.changed.clear()
                await self.changed.wait()
            if batch := self._take():
                self.running += 1
                task = asyncio.create_task(self._run(batch))
                self.background.add(task)
                task.add_done_callback(self.background.discard)

    async def _gather(self) -> None:
        """Wait while requests that have begun are still being read, a few milliseconds at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.gather
        while self.coming and sum(len(w.items) for w in self.queue) < self.together:
            self.changed.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self.changed.wait()
            except TimeoutError:
                return

    def _take(self) -> list[_Waiting[Item]]:
        """Return the oldest requests that fit into one call; those nobody waits for any more are dropped."""
        self.queue = [w for w in self.queue if not w.future.done()]
        taken, room = 0, self.together
        for waiting in self.queue:
            room -= len(waiting.items)
            if room < 0 and taken:
                break
            taken += 1
        batch, self.queue = self.queue[:taken], self.queue[taken:]
        return batch

    async def _run(self, batch: list[_Waiting[Item]]) -> None:
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self.pool, self._outcomes, batch)
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if waiting.future.done():
                    continue
                if isinstance(outcome, BaseException):
                    waiting.future.set_exception(outcome)
                else:
                    waiting.future.set_result(outcome)
        finally:
            self.running -= 1
            self.changed.set()

    def _outcomes(self, batch: list[_Waiting[Item]]) -> list[Sequence[Answer] | Exception]:
        """Return the answers to each request, or why there are none."""
        self.calls += 1
        self.items += sum(len(w.items) for w in batch)
        try:
            answers = self.call([item for w in batch for item in w.items])
            if len(answers) != sum(len(w.items) for w in batch):
                raise RuntimeError("a model gave another number of answers than it was asked for")
        except Exception as error:
            if len(batch) == 1:
                return [error]
            half = len(batch) // 2
            return self._outcomes(batch[:half]) + self._outcomes(batch[half:])
        found: list[Sequence[Answer] | Exception] = []
        start = 0
        for w in batch:
            found.append(answers[start : start + len(w.items)])
            start += len(w.items)
        return found
