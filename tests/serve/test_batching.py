"""Concurrent requests are answered together, each with its own answers and its own errors."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from polydx.errors import ReadError
from polydx.serve.batching import SIDE_BY_SIDE, Batcher
from polydx.serve.refusals import RefusedError


class Doubling:
    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.calls = seconds, []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        time.sleep(self.seconds)
        if -1 in items:
            raise ReadError("minus one cannot be read")
        if 13 in items:
            raise RuntimeError("a fault")
        return [2 * i for i in items]


def run(coroutine):
    return asyncio.run(coroutine)


def test_requests_that_are_on_their_way_are_awaited_and_answered_in_one_call():
    call = Doubling()

    async def main():
        with ThreadPoolExecutor(2) as pool:
            batcher = Batcher(call, pool, gather=1.0)

            async def ask(items, delay):
                with batcher.announced() as arrived:
                    await asyncio.sleep(delay)
                    waiting = asyncio.ensure_future(batcher(items))
                    await asyncio.sleep(0)
                    arrived()
                    return await waiting

            return await asyncio.gather(*(ask([i, i + 100], i / 100) for i in range(5)))

    started = time.perf_counter()
    assert run(main()) == [[2 * i, 2 * i + 200] for i in range(5)]
    assert len(call.calls) == 1
    assert time.perf_counter() - started < 0.5


def test_a_request_alone_does_not_wait_for_others():
    async def main():
        with ThreadPoolExecutor(2) as pool:
            started = time.perf_counter()
            await Batcher(Doubling(), pool, gather=5.0)([1])
            return time.perf_counter() - started

    assert run(main()) < 0.5


@pytest.mark.parametrize(("bad", "kind"), [(-1, ReadError), (13, RuntimeError)])
def test_an_error_stays_with_its_request(bad, kind):
    async def main():
        with ThreadPoolExecutor(2) as pool:
            batcher = Batcher(Doubling(0.01), pool)
            return await asyncio.gather(*(batcher([i if i != 3 else bad]) for i in range(8)), return_exceptions=True)

    found = run(main())
    assert isinstance(found[3], kind)
    assert [f for i, f in enumerate(found) if i != 3] == [[2 * i] for i in range(8) if i != 3]


def test_a_slow_request_leaves_a_way_past_it():
    released = threading.Event()

    def call(items: Sequence[int]) -> Sequence[int]:
        if 0 in items:
            released.wait(5)
        return items

    async def main():
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            batcher = Batcher(call, pool)
            slow = asyncio.ensure_future(batcher([0]))
            await asyncio.sleep(0.05)
            quick = [await batcher([i]) for i in range(1, 4)]
            assert not slow.done()
            released.set()
            return quick, await slow

    assert run(main()) == ([[1], [2], [3]], [0])


def test_large_requests_go_alone_and_too_many_are_told_to_come_back():
    call = Doubling(0.05)

    async def main():
        with ThreadPoolExecutor(2) as pool:
            batcher = Batcher(call, pool, together=3, waiting=12)
            return await asyncio.gather(
                *(batcher([10 * k + i for i in range(n)]) for k, n in enumerate((5, 2, 1, 2, 4))),
                return_exceptions=True,
            )

    found = run(main())
    assert [len(c) for c in call.calls] == [5, 3, 2]
    assert isinstance(found[4], RefusedError)
    assert found[4].status == 503
    assert found[0] == [0, 2, 4, 6, 8]


def test_a_request_nobody_waits_for_is_dropped():
    call = Doubling(0.1)

    async def main():
        with ThreadPoolExecutor(2) as pool:
            batcher = Batcher(call, pool, together=1)
            asked = [asyncio.ensure_future(batcher([i])) for i in range(4)]
            await asyncio.sleep(0.02)
            asked[3].cancel()
            return await asyncio.gather(*asked, return_exceptions=True)

    found = run(main())
    assert found[:3] == [[0], [2], [4]]
    assert [3] not in call.calls


def test_a_model_that_answers_too_few_is_a_fault_of_the_model():
    async def main():
        with ThreadPoolExecutor(1) as pool:
            return await Batcher(lambda items: items[:-1], pool)([1, 2])

    with pytest.raises(RuntimeError, match="another number of answers"):
        run(main())
