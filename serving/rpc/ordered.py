"""Work on the items of a stream side by side, and hand the results out in the items' order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def ordered(items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, ahead: int) -> AsyncGenerator[R, None]:
    """At most `ahead` items are under way: no more are read until the oldest result is taken.

    An error of `items` or of `work` ends it once the results before it are taken, and closing it does at once; nothing
    is left running.
    """
    room = asyncio.Semaphore(ahead)
    pending: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    started: set[asyncio.Task[R]] = set()

    async def read() -> None:
        try:
            await room.acquire()
            async for item in items:
                task = asyncio.ensure_future(work(item))
                started.add(task)
                pending.put_nowait(task)
                await room.acquire()
        finally:
            pending.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (task := await pending.get()) is not None:
            result = await task
            started.discard(task)
            room.release()
            yield result
        await reader
    finally:
        for each in (reader, *started):
            each.cancel()
        await asyncio.gather(reader, *started, return_exceptions=True)
