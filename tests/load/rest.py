"""Load over HTTP/1.1: connections that stay open, each with one request at a time and the next as soon as it may.

asyncio's own protocol and no client library: those cost more than the server that is asked.
"""

import asyncio
import re
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Self, cast

import msgspec
import uvloop

from tests.load.record import Failure, Question, Record
from tests.servers import eventually

PATIENCE_SECONDS = 10
"""A request that is not answered by then has failed."""
AGAIN_SECONDS = 0.02
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_VERSION = re.compile(rb"\r\nx-model-version: *(\d+)", re.IGNORECASE)


class RestLoad:
    """From a thread of its own, from the first answer on every connection until the block ends."""

    def __init__(
        self, port: int, model: str, questions: Sequence[Question], *, connections: int, every_seconds: float = 0
    ) -> None:
        """`every_seconds`: how often each connection asks; 0: again at once.

        A request that could not be sent in time, for the answer before it was late, counts from when it was due.
        """
        self.record, self.connections, self.every_seconds = Record(), connections, every_seconds
        self.port, self.stopping = port, False
        self.asked = [(each, _request(f"/v1/models/{model}/invocations", each.body)) for each in questions]
        self.right: dict[tuple[int, int], bytes] = {}
        self._open: set[_Connection] = set()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            eventually(lambda: len(self.record.latest) == self.connections, seconds=60)
        except AssertionError:
            self.__exit__()
            raise AssertionError(f"no answer on every connection; failed: {self.record.failures[:5]}") from None
        return self

    def __exit__(self, *_error: object) -> None:
        self.stopping = True
        self._thread.join()

    def all_answer(self, version: int) -> bool:
        return self.record.all_answer(version, connections=self.connections)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._keep())

    async def _keep(self) -> None:
        """Until stopped and every answer is there: open what is closed, and give up on what is not answered."""
        while not self.stopping or any(each.waiting for each in self._open):
            for each in list(self._open):
                each.give_up(time.monotonic() - PATIENCE_SECONDS)
            # One at a time: of a burst, the first worker that wakes takes all.
            if len(self._open) < self.connections and not self.stopping:
                await self._connect()
            await asyncio.sleep(AGAIN_SECONDS)
        for each in list(self._open):
            each.close()
        await asyncio.sleep(AGAIN_SECONDS)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        except OSError as error:
            self.record.failures.append(Failure(time.monotonic(), 0, f"not connected: {error}"))

    def opened(self, connection: "_Connection") -> None:
        self._open.add(connection)

    def closed(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        self.record.latest.pop(connection.name, None)


class _Connection(asyncio.Protocol):
    def __init__(self, load: RestLoad) -> None:
        self._load = load
        self._got = b""
        self.waiting = False
        self._due = self._began = self._sent = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.name: int = transport.get_extra_info("sockname")[1]
        self._numbers = count(self.name)  # connections ask different things at a time: no answer fits another's
        self._load.opened(self)
        self._ask(time.monotonic())

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting:
            self._failed(f"connection lost: {error}")
        self._load.closed(self)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, whole, body = self._got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not whole or (length and len(body) < int(length[1])):
            return
        self._got = b""
        self._answered(head, body)
        self._next()

    def give_up(self, before: float) -> None:
        """On a request that has been waited for since then."""
        if self.waiting and self._sent < before:
            self._failed("no answer")
            self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def _ask(self, began: float) -> None:
        if self._load.stopping or self._transport.is_closing():
            return
        self._began, self._sent = began, time.monotonic()
        self._number = next(self._numbers) % len(self._load.asked)
        self.waiting = True
        self._transport.write(self._load.asked[self._number][1])

    def _next(self) -> None:
        now = time.monotonic()
        if not self._load.every_seconds:
            self._ask(now)
            return
        self._due += self._load.every_seconds
        if self._due <= now:
            self._ask(self._due)
        else:
            asyncio.get_running_loop().call_later(self._due - now, self._ask_now)

    def _ask_now(self) -> None:
        self._ask(time.monotonic())

    def _answered(self, head: bytes, body: bytes) -> None:
        self.waiting = False
        found = _VERSION.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or found is None:
            self._failed(f"{head.partition(bytes([13]))[0].decode()} {body[:300].decode()}")
            return
        version = int(found[1])
        if self._load.right.get((self._number, version)) != body:
            wrong = self._load.asked[self._number][0].wrong(version, msgspec.json.decode(body)["predictions"])
            if wrong:
                self._failed(wrong)
                return
            self._load.right[self._number, version] = body
        self._load.record.answered(self._began, time.monotonic(), self.name, version)

    def _failed(self, reason: str) -> None:
        self.waiting = False
        self._load.record.failures.append(Failure(time.monotonic(), self.name, reason))


def _request(path: str, body: bytes) -> bytes:
    headers = f"host: slipway\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body
