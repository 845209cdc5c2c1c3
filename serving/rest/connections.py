"""Connections that take their time: how long a head or a body may take to come, and how many connections there may be.

uvicorn itself ends only those that are idle after an answer; whoever does not take its answer, the kernel ends
(`worker.py` asks for it). uvicorn makes a `Connection` of each socket, and `parting.py` looks at all of them.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.errors import TooManyConnections
from serving.lag import Lag
from serving.metrics.declared import TOO_SLOW, Route
from serving.rest import problems, unread
from serving.rest.context import CODE, a_name, request_id, way_of
from serving.rest.joined import Joined
from serving.rest.unread import ReadyMade, Refused, Unread
from serving.settings import Limits

LEAST_BYTES = 1024
"""That must come in `body_seconds`: a byte now and then is no progress."""


class Connection(HttpToolsProtocol):
    """Knows how much has come; one that is one too many is told to come back later, and so is all in an overload."""

    def __init__(self, *args: Any, most: int, lag: Lag, refused: Refused, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most, self._lag, self._refused = most, lag, refused
        self.received = self.refused = 0
        self._window = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(cast("asyncio.Transport", Joined(transport, self.loop)))
        if len(self.connections) > self._most:
            self.app = partial(_too_many, self._refused)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._lag.came += 1
        if self._window != self._lag.window:
            self._window = self._lag.window
            self._lag.callers += 1
        if self._lag.overloaded and (route := self._asks(data)) is not None and not self._lag.admits():
            self.refused += 1
            name = unread.name_of(data)
            self._refused(Unread(route, unread.BUSY.code, unread.BUSY.status, name))
            self._tell(unread.BUSY, name)
            return
        super().data_received(data)

    def _asks(self, data: bytes) -> Route | None:
        """For which prediction, if it may be refused: no other request is under way here, or has begun to come."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return None
        if self.scope is not None and (cycle is None or self.scope is not cycle.scope):
            return None  # of which the head has begun
        return unread.prediction(data)

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
        cycle = self.cycle
        name = a_name()
        if cycle is not None and not cycle.response_complete:
            cycle.scope["state"][CODE] = TOO_SLOW  # whoever waits for its body counts it
            name = request_id(cycle.scope)
        elif self.received:  # what was never begun is no request
            self._refused(Unread(Route.OTHER_HTTP, unread.SLOW.code, unread.SLOW.status, name))
        self._tell(unread.SLOW, name)
        self.transport.close()

    def _tell(self, ready_made: ReadyMade, name: str) -> None:
        self.transport.write(ready_made.answer(name, self.server_state.default_headers))


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


def limited(limits: Limits, lag: Lag, refused: Refused = lambda _unread: None) -> Any:
    """What uvicorn makes of each connection. `refused` is told of each request that no app sees."""
    return partial(Connection, most=limits.connections, lag=lag, refused=refused)


async def _too_many(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["request_id"] = a_name()
    problem = problems.answer(scope, TooManyConnections(), [(b"connection", b"close")])
    refused(Unread(way_of(scope["path"]), TooManyConnections.code, problem.status_code, request_id(scope)))
    await problem(scope, receive, send)
