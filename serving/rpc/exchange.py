"""One call: its id, its deadline, the version that answers it, and how it is counted.

The trailers of every answer name the id; those of a refusal the version as well, which an answer has in its message.
"""

import itertools
import os
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import grpc

from serving.access.guard import API_KEY, AUTHORIZATION, Guard
from serving.access.needs import Need
from serving.access.scopes import Caller
from serving.engine import Call, Engine
from serving.lineup import Served
from serving.metrics.declared import OK, ROUTES, Route
from serving.rpc import told, traced
from serving.tracing.trace import Trace

REQUEST_ID = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Other processes have other prefixes; a random id a call would cost more than all else here.
_PREFIX = os.urandom(8).hex()
_numbers = itertools.count()

Context = grpc.aio.ServicerContext[Any, Any]
Trailers = tuple[tuple[str, str], ...]

_ROUTES = {name: Route(place) for place, (protocol, name) in enumerate(ROUTES) if protocol == "grpc"}


def route_of(method: str) -> Route:
    return _ROUTES.get(method, Route.OTHER_GRPC)


class Question:
    """What is counted as one request: a call, or a message of a stream whose messages are each answered."""

    __slots__ = ("_engine", "began", "call", "caller", "is_message", "request_id", "route", "served", "trace")

    def __init__(self, engine: Engine, route: Route, request_id: str) -> None:
        self._engine, self.route, self.request_id = engine, route, request_id
        self.began = time.perf_counter()
        self.served: Served | None = None
        self.call: Call | None = None
        """Its clock, where it has one: an answer in several parts has not."""
        self.trace: Trace | None = None
        """Sampled or not; None where nobody traces."""
        self.is_message = False
        self.caller: Caller | None = None

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.perf_counter() - self.began

    @property
    def sampled(self) -> Trace | None:
        return self.trace if self.trace is not None and self.trace.sampled else None

    def ended(self, code: str = OK, status: grpc.StatusCode | None = None) -> None:
        """`status`: of a refused call, whose code says less."""
        self.told(code, status)
        # What is asked about a version is not asked of it.
        counts = self._engine.counted(None if self.route is Route.OTHER_GRPC else self.served)
        call = self.call
        if call is None or code != OK:
            counts.ended(self.route, code)
            return
        counts.answered(self.route, (call.queue, call.decode, call.predict, call.encode, self.seconds))

    def told(self, code: str = OK, status: grpc.StatusCode | None = None) -> None:
        """To whom it may concern, and not counted."""
        if self._engine.tracer is not None:
            traced.ended(self._engine.tracer, self, code, status)
        log = self._engine.log
        if log.all or (log.errors and code != OK):
            told.tell(log, self, code, status)


class Exchange:
    __slots__ = (
        *("_caller", "_engine", "_guard", "_route", "_served"),
        *("context", "in_messages", "question", "request_id"),
    )

    def __init__(self, context: Context, engine: Engine, route: Route) -> None:
        self.context = context
        self.request_id = _request_id(context.invocation_metadata() or ())
        self._served: Served | None = None
        self._engine, self._route = engine, route
        self.question = Question(engine, route, self.request_id)
        if engine.tracer is not None and route is not Route.OTHER_GRPC:
            self.question.trace = traced.begun(engine.tracer, context.invocation_metadata() or ())
        self.in_messages = False
        """Are its messages counted, and not the call?"""
        self._guard: Guard | None = None
        self._caller: Caller | None = None

    async def recognise(self, guard: Guard) -> None:
        """Who asks; then `admit` says whether they may. Unauthenticated, AuthUnreachable."""
        headers = credentials(self.context.invocation_metadata() or ())
        self._guard, self._caller = guard, guard.known(headers) or await guard.caller(headers)
        self.question.caller = self._caller

    async def recognise_again(self) -> None:
        """For a further message, or a part of the answer: the key may be revoked since. As `recognise`."""
        if self._guard is not None:
            await self.recognise(self._guard)

    async def admit_more(self, need: Need) -> None:
        """A further message of one question, as `Guard.admit_more`."""
        if self._guard is not None:
            headers = credentials(self.context.invocation_metadata() or ())
            await self._guard.admit_more(headers, need, self.call().deadline)

    def admit(self, need: Need) -> None:
        """Forbidden, RateExceeded. Where nobody has to say who they are, everybody is admitted."""
        if self._guard is not None and self._caller is not None:
            self._guard.admit(self._caller, need)

    def message(self) -> Question:
        self.in_messages = True
        message = Question(self._engine, self._route, self.request_id)
        message.is_message = True
        message.caller = self._caller
        if self.question.trace is not None:
            message.trace = self.question.trace.part()
        return message

    def answered_by(self, served: Served) -> None:
        """From here on a refusal names this version."""
        self._served = self.question.served = served
        self.context.set_trailing_metadata(((REQUEST_ID, self.request_id),))

    def call(self, before: Call | None = None) -> Call:
        """A clock for one question to the engine; the deadline is the caller's. As much of a sample as `before`."""
        remaining = self.context.time_remaining()
        call = Call() if remaining is None else Call(time.monotonic() + remaining)
        call.sample = before.sample if before is not None else None
        call.trace = self.question.sampled
        return call

    def key(self, header: str) -> bytes:
        """What tells this caller from others: its own word in the metadata, else its request."""
        for key, value in self.context.invocation_metadata() or ():
            if key == header and value:
                return value.encode() if isinstance(value, str) else value
        return self.request_id.encode()

    def trailers(self, *more: tuple[str, str]) -> Trailers:
        named = () if self._served is None else _named(self._served.version.name, self._served.version.number)
        return ((REQUEST_ID, self.request_id), *named, *more)


@lru_cache(64)
def _named(name: str, number: int) -> Trailers:
    # A model may be called what no metadata can hold.
    known = (("x-model-name", name),) if name.isascii() and name.isprintable() else ()
    return (*known, ("x-model-version", str(number)))


def credentials(metadata: Iterable[tuple[str, str | bytes]]) -> dict[bytes, bytes]:
    """Those of the metadata that say who asks."""
    names = {AUTHORIZATION.decode(): AUTHORIZATION, API_KEY.decode(): API_KEY}
    found = ((names.get(key), value) for key, value in metadata)
    return {key: value.encode() if isinstance(value, str) else value for key, value in found if key is not None}


def _request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _SANE.fullmatch(value):
            return value
    return f"{_PREFIX}{next(_numbers):x}"
