import asyncio
from collections.abc import AsyncIterator

import pytest

from serving.rpc.ordered import ordered


async def test_results_keep_the_order_whoever_is_done_first() -> None:
    async def items() -> AsyncIterator[int]:
        for each in range(5):
            yield each

    done: list[int] = []
    last = asyncio.Event()

    async def work(item: int) -> int:
        if item == 4:
            last.set()
        await last.wait()
        done.append(item)
        return -item

    assert [each async for each in ordered(items(), work, ahead=5)] == [0, -1, -2, -3, -4]
    assert done[0] == 4


async def test_no_more_is_read_than_is_worked_on() -> None:
    read: list[int] = []

    async def endless() -> AsyncIterator[int]:
        while True:
            read.append(len(read))
            yield read[-1]

    async def work(item: int) -> int:
        return item

    results = ordered(endless(), work, ahead=3)
    for expected in range(4):
        assert await anext(results) == expected
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(read) <= expected + 4  # the three after it
    await results.aclose()


async def test_an_error_comes_after_the_results_before_it() -> None:
    async def items() -> AsyncIterator[int]:
        yield 0
        raise ZeroDivisionError

    async def work(item: int) -> int:
        return item

    results = ordered(items(), work, ahead=5)

    assert await anext(results) == 0
    with pytest.raises(ZeroDivisionError):
        await anext(results)


async def test_an_error_leaves_nothing_running() -> None:
    async def items() -> AsyncIterator[int]:
        yield 0
        yield 1
        await asyncio.Event().wait()

    working, stopped = asyncio.Event(), asyncio.Event()

    async def work(item: int) -> None:
        if item == 0:
            await working.wait()
            raise ZeroDivisionError
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await anext(ordered(items(), work, ahead=5))

    assert stopped.is_set()
    assert asyncio.all_tasks() == before
