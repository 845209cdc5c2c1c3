"""Lines over a real connection: both directions at once."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from serving.app import build
from serving.engine import Engine
from serving.lineup import Lineup
from serving.rest.lines import MEDIA_TYPE
from tests.servers import eventually, free_port
from tests.serving.tensor_models import put

ROW = b'{"a": 1, "b": 2, "c": 3}\n'


@pytest.fixture
async def port(lineup: Lineup) -> AsyncIterator[int]:
    engine, where = Engine(lineup), free_port()
    put(lineup)
    server = uvicorn.Server(uvicorn.Config(build(engine), port=where, log_config=None, lifespan="on", ws="none"))
    running = asyncio.create_task(server.serve())
    await asyncio.to_thread(eventually, lambda: server.started)
    yield where
    server.should_exit = True
    await running
    engine.close()


async def test_many_lines_come_back_in_order(port: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        for at in range(2000):
            yield b"[%d, 0, 0]\n" % at

    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"http://127.0.0.1:{port}/invocations", content=body(), headers={"content-type": MEDIA_TYPE}, timeout=30
        )

    assert (answer.headers["content-type"], answer.headers["x-model-version"]) == (MEDIA_TYPE, "7")
    assert answer.text.splitlines() == [f'{{"prediction":{at}}}' for at in range(2000)]


async def test_an_answer_comes_before_the_request_has_ended(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    def part(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data)

    head = f"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: {MEDIA_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(head.encode() + part(ROW))
    async with asyncio.timeout(10):
        await reader.readuntil(b'{"prediction":6}\n')
        writer.write(part(b"[1, 1, 1]\n") + part(b""))
        await reader.readuntil(b'{"prediction":3}\n')
    writer.close()
    await writer.wait_closed()
