"""Around the whole app, while somebody wants to know what becomes of its requests: what they are to be told.

Plain ASGI. Nothing of it is there when nobody does.
"""

import time
from collections.abc import MutableMapping
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope, Send

from serving.engine import Call
from serving.lineup import Served
from serving.metrics.declared import GONE, INTERNAL, OK
from serving.rest.context import CODE, SERVED, TRACE, route_of
from serving.rest.unread import Unread
from serving.rest.wire import Asked
from serving.tracing.trace import Trace
from serving.tracing.tracer import Attributes, Done, Tracer

ASKED = "asked"
"""Under which the state of a request's scope holds a prediction, until it is told of."""
ON_THE_WAY = ("/ping", "/health", "/metrics", "/version", "/v2/health/live", "/v2/health/ready")
"""Asked all day long by what keeps servers up; nobody wants to see each time."""


def join(asked: Asked) -> None:
    """A prediction is under way: its times and its version are told when it has ended."""
    state = asked.scope["state"]
    trace: Trace | None = state.get(TRACE)
    if trace is not None and trace.sampled:
        asked.call.trace = trace
        state[ASKED] = asked


class Whole(Protocol):
    """The app, all of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def leave(self) -> None: ...

    def refused(self, unread: Unread) -> None: ...


class Watched:
    def __init__(self, app: Whole, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer
        self.leave, self.refused = app.leave, app.refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ON_THE_WAY:
            await self._app(scope, receive, send)
            return
        trace = self._tracer.begin(*_given(scope["headers"]))
        state = scope.setdefault("state", {})
        state[TRACE] = trace
        if not trace.sampled:
            await self._app(scope, receive, send)
            return
        answer = _Sent(send)
        try:
            await self._app(scope, receive, answer)
        finally:
            # The request holds its scope, and so itself, until here.
            self._tracer.ended(trace, _done(scope, answer, state.pop(ASKED, None)))


class _Sent:
    """What has gone out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = time.perf_counter()
        self.status: int | None = None
        self.whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.whole = True
        await self._send(message)


def _given(headers: list[tuple[bytes, bytes]]) -> tuple[str | None, str]:
    """traceparent, unless there are several, and tracestate."""
    parents = [value for name, value in headers if name == b"traceparent"]
    if len(parents) != 1:
        return None, ""
    states = [value.decode("latin-1") for name, value in headers if name == b"tracestate"]
    return parents[0].decode("latin-1"), ",".join(states)


def _done(scope: Scope, sent: _Sent, asked: Asked | None) -> Done:
    state = scope["state"]
    route = route_of(scope)
    served = asked.served if asked is not None else state.get(SERVED)
    code = _code(state, sent)
    attributes = {**_attributes(scope, route, sent.status), **_about(state, served, code)}
    call = asked.call if asked is not None else Call()
    failed = sent.status is None or sent.status >= 500 or not sent.whole
    name = f"{scope['method']} {route}" if route else str(scope["method"])
    return Done(name, sent.began, attributes, call.decode, call.encode, failed=failed)


def _code(state: MutableMapping[str, Any], sent: _Sent) -> str:
    if sent.status is None:
        return GONE
    return str(state.get(CODE, OK)) if sent.whole else INTERNAL


def _attributes(scope: Scope, route: str | None, status: int | None) -> Attributes:
    """https://opentelemetry.io/docs/specs/semconv/http/http-spans/, but for the path and the caller's address."""
    host, port = scope.get("server") or ("", None)
    found: dict[str, str | int] = {"http.request.method": scope["method"], "url.scheme": scope.get("scheme", "http")}
    found |= {"network.protocol.version": scope.get("http_version", "1.1"), "server.address": host}
    found |= {"server.port": port} if port else {}
    found |= {"http.route": route} if route else {}
    return found if status is None else found | {"http.response.status_code": status}


def _about(state: MutableMapping[str, Any], served: Served | None, code: str) -> Attributes:
    found: dict[str, str | int] = {"slipway.code": code}
    if "request_id" in state:
        found["slipway.request_id"] = state["request_id"]
    if served is not None:
        found |= {"slipway.model": served.version.name, "slipway.version": served.version.number}
    return found if code == OK else found | {"error.type": code}
