"""Connections that take their time: how long a head or a body may take to come, and how many connections there may be.

uvicorn itself ends only those that are idle after an answer; whoever does not take its answer, the kernel ends
(`worker.py` asks for it). uvicorn makes a `Connection` of each socket, and `parting.py` looks at all of them.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.errors import TooManyConnections
from serving.lag import Lag
from serving.metrics.declared import Route
from serving.rest import problems
from serving.rest.context import SAFE, a_name
from serving.settings import Limits

Refused = Callable[[Route], None]
LEAST_BYTES = 1024
"""That must come in `body_seconds`: a byte now and then is no progress."""
_PREDICTIONS = {b"/invocations": Route.INVOCATIONS, b"/infer": Route.INFER}
"""By how their paths end."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r\n", re.IGNORECASE)


class _ReadyMade:
    """A problem's answer, but for what differs from one to the next."""

    def __init__(self, status: HTTPStatus, code: str, sentence: str, header: str) -> None:
        named = {"type": f"urn:slipway:problem:{code}", "title": code.replace("-", " ").capitalize(), "status": status}
        content = {**named, "detail": sentence, "error": sentence, "request_id": "%s"}
        safe = "".join(f"{name}: {value}\r\n" for name, value in SAFE.items())
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {problems.MEDIA_TYPE}\r\n{header}\r\n{safe}"
        self._head, self._body = head.encode(), msgspec.json.encode(content)

    def answer(self, request_id: bytes, others: Iterable[tuple[bytes, bytes]]) -> bytes:
        """`others`: headers of all that this server answers."""
        body = self._body % request_id
        more = b"".join(b"%s: %s\r\n" % each for each in others)
        return b"%s%sx-request-id: %s\r\ncontent-length: %d\r\n\r\n%s" % (self._head, more, request_id, len(body), body)


_TOO_SLOW = _ReadyMade(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "the request did not come in time", "connection: close")
_BUSY = _ReadyMade(
    HTTPStatus.SERVICE_UNAVAILABLE, "queue-full", "more is asked here than can be answered", "retry-after: 1"
)
_REQUEST_ID = re.compile(rb"\r\nx-request-id: *([A-Za-z0-9._:-]{1,128})\r\n", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """Knows how much has come; one that is one too many is told to come back later, and so is all in an overload."""

    def __init__(self, *args: Any, most: int, lag: Lag, refused: Refused, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most, self._lag, self._refused = most, lag, refused
        self.received = self.refused = 0
        self._window = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self.app = _too_many

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._lag.came += 1
        if self._window != self._lag.window:
            self._window = self._lag.window
            self._lag.callers += 1
        if self._lag.overloaded and (route := self._asks(data)) is not None and not self._lag.admits():
            self.refused += 1
            self._refused(route)
            given = _REQUEST_ID.search(data, 0, data.find(b"\r\n\r\n") + 2)
            self._tell(_BUSY, given[1] if given else a_name().encode())
            return
        super().data_received(data)

    def _asks(self, data: bytes) -> Route | None:
        """For a prediction, if it is one request, and whole. To refuse must cost next to nothing: nothing is parsed."""
        cycle = self.cycle
        if not data.startswith(b"POST /") or (cycle is not None and not cycle.response_complete):
            return None
        if self.scope is not None and (cycle is None or self.scope is not cycle.scope):
            return None  # of which the head has begun
        length, end = _LENGTH.search(data), data.find(b"\r\n\r\n")
        if length is None or end < length.start() or len(data) != end + 4 + int(length[1]):
            return None
        path = data[len(b"POST ") : data.find(b" ", len(b"POST "))]
        return _PREDICTIONS.get(path[path.rfind(b"/") :])

    def awaited(self) -> tuple[str, int] | None:
        """Whether a head or a body is being waited for, and of which request; None: neither."""
        cycle = self.cycle
        if self.transport.is_closing():
            return None
        if cycle is None or (cycle.response_complete and self.scope is not cycle.scope):
            return "head", hash((id(self.scope), self.refused))
        # Once an answer has begun, the rest may come as slowly as its caller likes: it is a stream of rows.
        waits = cycle.more_body and not cycle.response_started and not cycle.response_complete
        return ("body", id(cycle)) if waits else None

    def end(self) -> None:
        self._tell(_TOO_SLOW, a_name().encode())
        self.transport.close()

    def _tell(self, ready_made: _ReadyMade, request_id: bytes) -> None:
        self.transport.write(ready_made.answer(request_id, self.server_state.default_headers))


class Watch:
    """Ends those of `connections` that keep it waiting for longer than the limits say."""

    def __init__(self, limits: Limits) -> None:
        self.head_seconds = limits.head_seconds
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


def limited(limits: Limits, lag: Lag, refused: Refused = lambda _route: None) -> Any:
    """What uvicorn makes of each connection. `refused` is told of each request that is for its loop's lag."""
    return partial(Connection, most=limits.connections, lag=lag, refused=refused)


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["request_id"] = a_name()
    problem = problems.answer(scope, TooManyConnections(), [(b"connection", b"close")])
    await problem(scope, receive, send)
