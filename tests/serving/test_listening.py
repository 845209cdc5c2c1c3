import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from serving.listening import MOST_AT_ONCE, Listening


class Met(asyncio.Protocol):
    """Knows how many connections there are."""

    number = 0

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        Met.number += 1


@pytest.fixture
async def listening() -> AsyncIterator[tuple[Listening, int]]:
    Met.number = 0
    given = socket.create_server(("127.0.0.1", 0), backlog=256)
    made = Listening(Met)
    server = await made.start(given, 256)
    yield made, given.getsockname()[1]
    server.close()
    made.take_more()  # nobody listens any more, which is no error
    await server.wait_closed()


async def test_those_who_wait_are_taken_in_one_round(listening: tuple[Listening, int]) -> None:
    made, port = listening
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_AT_ONCE)]

    made.take_more()
    async with asyncio.timeout(20):
        while Met.number < len(waiting):  # noqa: ASYNC110 - a protocol tells nobody
            await asyncio.sleep(0)

    for each in waiting:
        each.close()


async def test_who_comes_in_time_is_taken_without_being_asked_for(listening: tuple[Listening, int]) -> None:
    _, port = listening
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        while not Met.number:  # noqa: ASYNC110 - a protocol tells nobody
            await asyncio.sleep(0)
    writer.close()
    await writer.wait_closed()


async def test_nobody_to_take_is_no_error(listening: tuple[Listening, int]) -> None:
    listening[0].take_more()

    assert Met.number == 0
