"""One call: its id, its deadline, and the version that answers it.

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

from serving.engine import Call
from serving.lineup import Served

REQUEST_ID = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Other processes have other prefixes; a random id a call would cost more than all else here.
_PREFIX = os.urandom(8).hex()
_numbers = itertools.count()

Context = grpc.aio.ServicerContext[Any, Any]
Trailers = tuple[tuple[str, str], ...]


class Exchange:
    __slots__ = ("_served", "context", "request_id")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.request_id = _request_id(context.invocation_metadata() or ())
        self._served: Served | None = None

    def answered_by(self, served: Served) -> None:
        """From here on a refusal names this version."""
        self._served = served
        self.context.set_trailing_metadata(((REQUEST_ID, self.request_id),))

    def call(self, before: Call | None = None) -> Call:
        """A clock for one question to the engine; the deadline is the caller's. As much of a sample as `before`."""
        remaining = self.context.time_remaining()
        call = Call() if remaining is None else Call(time.monotonic() + remaining)
        call.sample = before.sample if before is not None else None
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


def _request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _SANE.fullmatch(value):
            return value
    return f"{_PREFIX}{next(_numbers):x}"
