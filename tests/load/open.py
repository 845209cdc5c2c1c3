"""Open load over HTTP/1.1: so many requests a second, whatever becomes of those before, as the public asks.

A request that finds no free connection opens one; latency counts from when it was due, so that no wait is hidden.
"""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop

TICK_SECONDS = 0.002
PATIENCE_SECONDS = 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AFTER = re.compile(rb"\r\nretry-after: *\d", re.IGNORECASE)


@dataclass
class Outcome:
    """Of one load. Times in seconds; `statuses` has 0 for what was never answered."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    unsent: int = 0
    """For want of a connection on the caller's side."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.accepted) / self.seconds

    def ms(self, percent: float, *, refused: bool = False) -> float:
        found = self.refused if refused else self.accepted
        return float(np.percentile(found, percent)) * 1000 if found else float("nan")


def ask(port: int, body: bytes, *, rate: float, seconds: float, connections: int) -> Outcome:
    """At most so many connections."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Load(port, body, connections).run(rate, seconds))


class _Load:
    def __init__(self, port: int, body: bytes, connections: int) -> None:
        self.port, self.most = port, connections
        head = f"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        self.request = head.encode() + b"\r\n\r\n" + body
        self.free: list[_Connection] = []
        self.open: set[_Connection] = set()
        self.opening = 0
        self.outcome = Outcome(0)

    async def run(self, rate: float, seconds: float) -> Outcome:
        began, sent = time.monotonic(), 0
        self.outcome.seconds = seconds
        while (now := time.monotonic()) < began + seconds:
            while sent < (now - began) * rate:
                self._send(began + sent / rate)
                sent += 1
            await asyncio.sleep(TICK_SECONDS)
        until = time.monotonic() + PATIENCE_SECONDS
        # Looked at and not told: an event a request would cost the load more than its sleep.
        while any(each.due for each in self.open) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(TICK_SECONDS)
        for each in list(self.open):
            each.transport.abort()
        await asyncio.sleep(0.1)
        return self.outcome

    def _send(self, due: float) -> None:
        if self.free:
            self.free.pop().ask(due)
        elif len(self.open) + self.opening < self.most:
            self.opening += 1
            task = asyncio.get_running_loop().create_task(self._open(due))
            task.add_done_callback(lambda done: done.exception())
        else:
            self.outcome.unsent += 1

    async def _open(self, due: float) -> None:
        try:
            connection: _Connection
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), "127.0.0.1", self.port
            )
            connection.ask(due)
        except OSError:
            self.outcome.statuses[0] += 1
        finally:
            self.opening -= 1


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._got = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._load.open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._load.open.discard(self)
        if self in self._load.free:
            self._load.free.remove(self)
        if self.due:
            self._load.outcome.statuses[0] += 1

    def ask(self, due: float) -> None:
        self.due = due
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, whole, body = self._got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not whole or (length and len(body) < int(length[1])):
            return
        self._got = b""
        status, took = int(head[9:12]), time.monotonic() - self.due
        self.due = 0.0
        outcome = self._load.outcome
        outcome.statuses[status] += 1
        if status == 200:
            outcome.accepted.append(took)
        else:
            outcome.refused.append(took)
            outcome.without_retry_after += _AFTER.search(head) is None
        if b"connection: close" not in head.lower():
            self._load.free.append(self)
