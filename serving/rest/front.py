"""The way of a prediction over HTTP, in front of FastAPI: bytes in, bytes out, and nothing else on it.

FastAPI's routing and request objects cost as much as a small model's prediction. Everything but predictions goes on to
the app behind this one, whose middleware does for them what is done here.
"""

import logging
import time
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache, partial

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import invocations, logs
from serving.access import needs
from serving.access.guard import Guard
from serving.access.needs import Need
from serving.engine import Engine
from serving.errors import ServingError, Stopping
from serving.inference import served_soon
from serving.lineup import Served
from serving.metrics.declared import GONE, INTERNAL, ROUTES, Route
from serving.protocol import JSON
from serving.rest import infer, lines, mlflow, problems, watched
from serving.rest.context import CODE, REQUEST_ID, SAFE, SERVED, about, named, tell
from serving.rest.gate import Gate, admit
from serving.rest.line_rows import LineRows
from serving.rest.prefer import PREFER, prefers_async
from serving.rest.unread import Unread
from serving.rest.wire import TIMEOUT, Asked, CallerGone, deadline, timing

log = logging.getLogger(__name__)

_ID = REQUEST_ID.encode()
_LENGTH = infer.HEADER_LENGTH.encode()
_LINES = lines.MEDIA_TYPE.encode()
_SAFE = tuple((name.encode(), value.encode()) for name, value in SAFE.items())

Names = tuple[tuple[bytes, bytes], ...]
Content = tuple[bytes, bytes, Names]
"""Body, content type, and what headers it needs besides."""
Lines = AsyncGenerator[bytes, None]
How = Callable[[Asked], Awaitable[Content | Lines]]


class Front:
    def __init__(
        self, app: ASGIApp, engine: Engine, guard: Guard | None = None, *, largest_body: int, jobs: bool = False
    ) -> None:
        """`jobs`: does the app take requests that are answered later? Without a `guard` anybody may ask anything."""
        self._app, self._engine, self._largest_body, self._jobs = app, engine, largest_body, jobs
        self._guard, self._other = guard, Gate(app, engine, guard)
        self.watched = False
        """Is there somebody around it, as `watched.py` is, who wants to know what becomes of each request?"""
        self._key_header = engine.key_header.encode()

    def leave(self) -> None:
        """From now on it says that it is not ready, and answers all the same."""
        self._engine.lineup.leaving = True

    def refused(self, unread: Unread) -> None:
        """A request was, before it came here."""
        self._engine.counts.nobody.ended(unread.route, unread.code)
        about = {"protocol": "rest", "route": ROUTES[unread.route][1], "request_id": unread.request_id}
        self._engine.log.refused(0, unread.code, status=unread.status, **about)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        way = self._way(scope["path"])
        if way is None:
            await self._other(scope, receive, send)
            return
        route, how = way
        headers = dict(scope["headers"])
        if self._jobs and PREFER in headers and _wants_job(scope, route) and prefers_async(headers[PREFER]):
            await self._other(self._as_job(scope), receive, send)
            return
        asked = Asked(scope, receive, headers, named(scope, headers), self._largest_body, route)
        if self.watched:
            watched.join(asked)
        await self._predict(asked, how, send)

    async def _predict(self, asked: Asked, how: How, send: Send) -> None:
        scope, headers = asked.scope, asked.headers
        try:
            if self._guard is not None:
                await admit(self._guard, scope, headers, self._engine.lineup.names[0])
            await self._answer(asked, how, send)
            return
        except HTTPException as error:
            problem = problems.refused(scope, error)
        except ServingError as error:
            problem = self._refused(asked, error)
        except CallerGone:
            self._gone(asked)
            return
        except CancelledError:  # uvicorn's, when the time to finish is over
            problem = self._refused(asked, Stopping())
        except Exception as error:  # noqa: BLE001 - the boundary: see problems.Boundary
            scope["state"][SERVED] = asked.served
            problem = problems.crashed(scope, error)
        self._engine.counted(asked.served).ended(asked.route, scope["state"][CODE])
        tell(self._engine.log, scope, problem.status_code, time.perf_counter() - asked.began)
        await problem(scope, asked.receive, send)

    def _way(self, path: str) -> tuple[Route, How] | None:
        if path == "/invocations":
            return Route.INVOCATIONS, self._score
        if path.startswith("/v2/models/") and path.endswith("/infer"):
            return Route.INFER, self._infer
        if path.startswith("/v1/models/") and path.endswith("/invocations"):
            return Route.INVOCATIONS, self._score
        return None

    async def _answer(self, asked: Asked, how: How, send: Send) -> None:
        if asked.scope["method"] != "POST":
            raise HTTPException(405, headers={"allow": "POST"})
        if TIMEOUT in asked.headers:
            asked.call.deadline = deadline(asked.headers[TIMEOUT])
        content = await how(asked)
        if not isinstance(content, tuple):
            await self._stream(asked, content, send)
            return
        body, media_type, extra = content
        call = asked.call
        phases = (call.queue, call.decode, call.predict, call.encode, time.perf_counter() - asked.began)
        # Before it is sent: who has the answer finds it counted.
        self._engine.counted(asked.served).answered(asked.route, phases)
        if self._engine.log.all:
            self._told(asked)
        headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            (_ID, asked.name.encode()),
            (b"server-timing", timing(call)),
            *self._names(asked.served),
            *_SAFE,
            *extra,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _score(self, asked: Asked) -> Content | Lines:
        path = asked.scope["path"]
        name = self._engine.lineup.names[0] if path == "/invocations" else _between(path)
        standing = self._engine.lineup.standing(name)
        served = asked.served = standing.served or await served_soon(self._engine.lineup, name)
        if standing.candidate is not None:
            served = asked.served = self._engine.pick(standing, served, self._key(asked), asked.call)
        media_type = JSON
        content_type = asked.headers.get(b"content-type", b"")
        if content_type != b"application/json":
            if content_type.partition(b";")[0].strip().lower() == _LINES:
                asked.route = Route.LINES
                asked.scope["state"][SERVED], asked.call.about = served, partial(about, asked.scope)
                rows = LineRows(self._engine, served, asked.call)
                return lines.stream(rows, asked.chunks(), partial(self._admit_more, asked))
            media_type = invocations.media_type_of(content_type.decode("latin-1"))
        body = await asked.body()
        if asked.call.sample is not None:
            content = media_type, body
            asked.call.sample.asked(partial(invocations.read, content), len(body), content)
        answer = mlflow.at_once(self._engine, served, (media_type, body), asked.call)
        if not isinstance(answer, bytes):
            waiting = mlflow.score(self._engine, served, (media_type, body, answer), asked.call)
            answer = await asked.unless_gone(waiting)
        return answer, b"application/json", ()

    async def _admit_more(self, asked: Asked) -> None:
        if self._guard is not None:
            need = needs.of(asked.scope["path"], self._engine.lineup.names[0]) or Need()
            await self._guard.admit_more(asked.headers, need, asked.call.deadline)

    async def _infer(self, asked: Asked) -> Content:
        name, _, version = _between(asked.scope["path"]).partition("/versions/")
        lineup = self._engine.lineup
        served = asked.served = await served_soon(lineup, name, version)
        if not version and (standing := lineup.standing(name)).candidate is not None:
            served = asked.served = self._engine.pick(standing, served, self._key(asked), asked.call)
        body = await asked.body()
        headers = {infer.HEADER_LENGTH: length.decode("latin-1")} if (length := asked.headers.get(_LENGTH)) else {}
        if asked.call.sample is not None:
            asked.call.sample.asked(partial(infer.rows, (body, headers.get(infer.HEADER_LENGTH))), len(body))
        question = await infer.read(served, headers, body, asked.call)
        answering = infer.answer(self._engine, served, question, asked.call)
        # What is answered at once is not worth a task of its own.
        at_once = served.at_once(question[1].count)
        answer, media_type, extra = await (answering if at_once else asked.unless_gone(answering))
        return answer, media_type.encode(), tuple((key.encode(), value.encode()) for key, value in extra.items())

    async def _stream(self, asked: Asked, pieces: Lines, send: Send) -> None:
        headers = [(b"content-type", _LINES), (_ID, asked.name.encode()), *self._names(asked.served), *_SAFE]
        counts = self._engine.counted(asked.served)
        async with aclosing(pieces):
            first = await anext(pieces, b"")  # what fails before anything is out can still have a status of its own
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            try:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            # Half an answer is out; that it has no end tells the caller.
            except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever it is
                counts.ended(Route.LINES, _why_broken(error))
                asked.scope["state"][SERVED] = asked.served
                log.warning("stream broken", extra={**about(asked.scope), "cause": logs.where(error)})
                return
        counts.ended(Route.LINES)
        if self._engine.log.all:
            self._told(asked)
        await send({"type": "http.response.body", "body": b""})

    def _refused(self, asked: Asked, error: ServingError) -> JSONResponse:
        if asked.call.sample is not None:
            asked.call.sample.refused(error)
        asked.scope["state"][SERVED] = asked.served
        return problems.answer(asked.scope, error, self._names(asked.served))

    def _gone(self, asked: Asked) -> None:
        state = asked.scope["state"]
        state[SERVED] = asked.served
        code = state.setdefault(CODE, GONE)  # unless he was sent away: he came too slowly
        self._engine.counted(asked.served).ended(asked.route, code)
        log.debug("caller hung up", extra=about(asked.scope))
        tell(self._engine.log, asked.scope, None, time.perf_counter() - asked.began)

    def _told(self, asked: Asked) -> None:
        asked.scope["state"][SERVED] = asked.served
        tell(self._engine.log, asked.scope, 200, time.perf_counter() - asked.began)

    def _as_job(self, scope: Scope) -> Scope:
        path = scope["path"]
        name = self._engine.lineup.names[0] if path == "/invocations" else _between(path)
        return {**scope, "path": f"/v1/models/{name}/jobs"}

    def _key(self, asked: Asked) -> bytes:
        """What tells this caller from others: its own word, else its request."""
        return asked.headers.get(self._key_header) or asked.name.encode()

    def _names(self, served: Served | None) -> Names:
        """The headers that name the version."""
        return () if served is None else _named(served.version.name, served.version.number)


def _why_broken(error: BaseException) -> str:
    if isinstance(error, CancelledError):  # uvicorn's, when the time to finish is over
        return Stopping.code
    return GONE if isinstance(error, CallerGone) else INTERNAL


@lru_cache(64)
def _named(name: str, number: int) -> Names:
    return (b"x-model-name", name.encode("latin-1", "replace")), (b"x-model-version", str(number).encode())


def _wants_job(scope: Scope, route: Route) -> bool:
    """May it: only what asks for a prediction can be answered later."""
    return route is Route.INVOCATIONS and scope["method"] == "POST"


def _between(path: str) -> str:
    """What stands between `/v1/models/` and the last part."""
    return path[len("/v1/models/") : path.rindex("/")]
