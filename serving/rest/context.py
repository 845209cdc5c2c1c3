"""What a request carries besides its body: its id, and the version that answers it. Every answer names both.

Plain ASGI: a response that fails half-way still got its headers.
"""

import itertools
import os
import re
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.scopes import Caller
from serving.engine import Engine
from serving.lineup import Served
from serving.metrics.answers import Counts
from serving.metrics.declared import GONE, OK, Route
from serving.reporter import Reporter
from serving.request_log import RequestLog
from serving.tracing.trace import Trace

REQUEST_ID = "x-request-id"
CODE = "code"
"""Under which the state of a request's scope holds the code of the problem that answers it."""
SAFE = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}
"""What every answer tells a browser; https://owasp.org/www-project-secure-headers/"""
TRACE, SERVED, CALLER = "trace", "served", "caller"
"""Where it stands in its trace; the version that answers and who asks, once they are known."""
# Unique without asking the system for randomness at each request.
_PREFIX = os.urandom(8).hex()
_numbers = itertools.count()
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


async def engine_of(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


EngineOf = Annotated[Engine, Depends(engine_of)]


async def trials_of(request: Request) -> Path | None:
    """The folder where all workers write what they count of candidates."""
    reporter: Reporter = request.app.state.reporter
    return reporter.trials


TrialsOf = Annotated[Path | None, Depends(trials_of)]


def knows(request: Request, model: str) -> bool:
    """Is its caller, where there is one, to hear of that model?"""
    caller: Caller | None = request.scope["state"].get(CALLER)
    return caller is None or caller.knows(model)


def answered_by(request: Request, served: Served) -> None:
    """From here on the answer, a refusal included, names this version."""
    request.scope["state"][SERVED] = served


def sane(given: bytes | None) -> str | None:
    """The id that a caller gave its request, if it is one that may go into a log."""
    return given.decode() if given is not None and _SANE.fullmatch(given) else None


def a_name() -> str:
    """For a request whose caller gave it none: a request id."""
    return f"{_PREFIX}{next(_numbers):x}"


def named(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The request's id, which is in its scope from here on."""
    name = sane(headers.get(REQUEST_ID.encode())) or a_name()
    scope.setdefault("state", {})["request_id"] = name
    return name


def request_id(scope: Mapping[str, Any]) -> str:
    return str(scope["state"]["request_id"])


class NameEveryAnswer:
    def __init__(self, app: ASGIApp, counts: Counts, log: RequestLog) -> None:
        self._app, self._counts, self._log = app, counts, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = sane(Headers(scope=scope).get(REQUEST_ID, "").encode("latin-1")) or uuid4().hex
        began = time.perf_counter()
        answered = False

        async def send_named(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                _name(MutableHeaders(scope=message), state)
                # Of no version: what is asked about one is not asked of it.
                self._counts.nobody.ended(Route.OTHER_HTTP, state.get(CODE, OK))
                tell(self._log, scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, send_named)
        if not answered:
            self._counts.nobody.ended(Route.OTHER_HTTP, state.setdefault(CODE, GONE))
            tell(self._log, scope, None, time.perf_counter() - began)


def about(scope: Scope) -> dict[str, object]:
    """Whose request it is, for a line of the log."""
    state = scope["state"]
    found: dict[str, object] = {"request_id": state["request_id"]}
    trace: Trace | None = state.get(TRACE)
    if trace is not None:
        found["trace_id"] = trace.name
    caller: Caller | None = state.get(CALLER)
    if caller is not None:
        found["caller"] = caller.name
    served: Served | None = state.get(SERVED)
    return found if served is None else found | {"model": served.version.name, "version": served.version.number}


def tell(log: RequestLog, scope: Scope, status: int | None, seconds: float) -> None:
    """How it ended; without a status nobody waited for it."""
    code = scope["state"].get(CODE, OK)
    if not (log.all or (log.errors and code != OK)):
        return
    line = {"protocol": "rest", "method": scope["method"], "route": route_of(scope) or "none", "status": status}
    if code == OK:
        log.answered(seconds, **line, **about(scope))
    else:
        log.refused(seconds, code, **line, **about(scope))


def _name(headers: MutableHeaders, state: MutableMapping[str, Any]) -> None:
    headers[REQUEST_ID] = state["request_id"]
    for name, value in SAFE.items():
        headers.setdefault(name, value)
    served: Served | None = state.get(SERVED)
    if served is not None:
        headers["x-model-name"] = served.version.name
        headers["x-model-version"] = str(served.version.number)


def route_of(scope: Scope) -> str | None:
    """Never the path itself: callers put what they like in it."""
    path = scope["path"]
    if path == "/invocations":
        return "/invocations"
    if path.startswith("/v1/models/") and path.endswith("/invocations"):
        return "/v1/models/{name}/invocations"
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        return "/v2/models/{name}/versions/{version}/infer" if "/versions/" in path else "/v2/models/{name}/infer"
    route: str | None = getattr(scope.get("route"), "path", None)
    return route


def way_of(path: str) -> Route:
    """What a request is counted as that is refused before it is known what it asks for."""
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        return Route.INFER
    one = path == "/invocations" or (path.startswith("/v1/models/") and path.endswith("/invocations"))
    return Route.INVOCATIONS if one else Route.OTHER_HTTP
