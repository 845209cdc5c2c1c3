"""Connections that take their time: how long a head or a body may take to come, and how many connections there may be.

uvicorn itself ends only those that are idle after an answer; whoever does not take its answer, the kernel ends
(`worker.py` asks for it). uvicorn makes a `Connection` of each socket, and `parting.py` looks at all of them.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.errors import TooManyConnections
from serving.rest import problems
from serving.settings import Limits

LEAST_BYTES = 1024
"""That must come in `body_seconds`: a byte now and then is no progress."""
_REASON = "the request did not come in time"
_PROBLEM = {"type": "urn:slipway:problem:too-slow", "title": "Too slow", "status": 408, "detail": _REASON}
_BODY = msgspec.json.encode({**_PROBLEM, "error": _REASON})
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Connection(HttpToolsProtocol):
    """Knows how much has come; one that is one too many is told to come back later."""

    def __init__(self, *args: Any, most: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most = most
        self.received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self.app = _too_many

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)

    def awaited(self) -> tuple[str, int] | None:
        """Whether a head or a body is being waited for, and of which request; None: neither."""
        cycle = self.cycle
        if self.transport.is_closing():
            return None
        if cycle is None or (cycle.response_complete and self.scope is not cycle.scope):
            return "head", id(self.scope)
        # Once an answer has begun, the rest may come as slowly as its caller likes: it is a stream of rows.
        waits = cycle.more_body and not cycle.response_started and not cycle.response_complete
        return ("body", id(cycle)) if waits else None

    def end(self) -> None:
        self.transport.write(_TOO_SLOW)
        self.transport.close()


class Watch:
    """Ends those of `connections` that keep it waiting for longer than the limits say."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = {"head": limits.head_seconds, "body": limits.body_seconds}
        self._seen: dict[Connection, tuple[tuple[str, int], float, int]] = {}

    def look(self, connections: Iterable[Any], now: float) -> None:
        """`now` in seconds, since whenever. Call it a few times a second."""
        seen: dict[Connection, tuple[tuple[str, int], float, int]] = {}
        for each in connections:
            awaited = each.awaited()
            if awaited is None:
                continue
            before = self._seen.get(each)
            if before is None or before[0] != awaited:
                seen[each] = awaited, now, each.received
            elif now - before[1] <= self._seconds[awaited[0]]:
                seen[each] = before
            elif awaited[0] == "body" and each.received - before[2] >= LEAST_BYTES:
                seen[each] = awaited, now, each.received
            else:
                each.end()
        self._seen = seen


def limited(limits: Limits) -> Any:
    """What uvicorn makes of each connection."""
    return partial(Connection, most=limits.connections)


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["request_id"] = uuid4().hex
    problem = problems.answer(scope, TooManyConnections(), [(b"connection", b"close")])
    await problem(scope, receive, send)
