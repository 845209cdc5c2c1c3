"""One request on its way through `front.py`: what it carries, how its body is read, what its answer is told besides."""

import time
import zlib
from asyncio import FIRST_COMPLETED, ensure_future, to_thread, wait
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from serving.engine import Call
from serving.errors import DeadlineExpired, InvalidInput, TooLarge, UnsupportedEncoding
from serving.lineup import Served
from serving.metrics.declared import Route

ENCODING = b"content-encoding"
UNPACKED = {b"", b"identity"}
LONG_PACKED = 4096
"""Bytes; what they unpack to may be a thousand times as much, and would hold up everybody else's request."""
MOST_MEMBERS = 10_000
"""Of gzip, one after the other: each costs two microseconds, even if there is nothing in it."""
_FIRST_WINDOW = 256
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
TIMEOUT = b"x-request-timeout-ms"
"""How long the caller will wait; what cannot be answered by then is not predicted."""

T = TypeVar("T")


class CallerGone(Exception):
    """The connection ended before the answer."""


@dataclass(slots=True)
class Asked:
    """A request; `served` is the version that answers it, once that is known."""

    scope: Scope
    receive: Receive
    headers: dict[bytes, bytes]
    name: str
    largest_body: int
    route: Route
    served: Served | None = None
    call: Call = field(default_factory=Call)
    began: float = field(default_factory=time.perf_counter)

    async def body(self) -> bytes:
        """Whole, and unpacked. TooLarge, before it is read where its length says so; CallerGone; as `unpacked`."""
        whole = await self._whole()
        packing = self.headers.get(ENCODING)
        if packing is None:
            return whole
        if len(whole) < LONG_PACKED:
            return unpacked(whole, packing, self.largest_body)
        return await to_thread(unpacked, whole, packing, self.largest_body)

    async def _whole(self) -> bytes:
        length = self.headers.get(b"content-length", b"0")
        if int(length) > self.largest_body:
            raise _too_large(self.largest_body)
        message = await self.receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            if len(whole) > self.largest_body:
                raise _too_large(self.largest_body)
            return whole
        parts, size = [message], 0
        while parts[-1]["type"] == "http.request":
            size += len(parts[-1].get("body", b""))
            if size > self.largest_body:
                raise _too_large(self.largest_body)
            if not parts[-1].get("more_body", False):
                return b"".join(part.get("body", b"") for part in parts)
            parts.append(await self.receive())
        raise CallerGone

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, no sooner read than it is wanted. CallerGone, UnsupportedEncoding."""
        if self.headers.get(ENCODING, b"").strip().lower() not in UNPACKED:
            raise UnsupportedEncoding(())
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def unless_gone(self, answer: Coroutine[Any, Any, T]) -> T:
        """CallerGone, and no prediction any more, when the caller hangs up while it waits. Call it after the body."""
        answering, gone = ensure_future(answer), ensure_future(self.receive())
        try:
            await wait((answering, gone), return_when=FIRST_COMPLETED)
            if not answering.done():
                raise CallerGone
            return answering.result()
        finally:
            gone.cancel()
            answering.cancel()
            # An error's traceback holds this frame, and the task the error: a circle for each one who is refused.
            del gone, answering


def unpacked(body: bytes, packing: bytes, largest: int) -> bytes:
    """By a Content-Encoding. UnsupportedEncoding; InvalidInput; TooLarge, before more than that is unpacked."""
    name = packing.strip().lower()
    if name in UNPACKED:
        return body
    if name not in {b"gzip", b"deflate"}:
        raise UnsupportedEncoding(("gzip", "deflate"))
    try:
        return _members(memoryview(body), largest)
    except zlib.error:
        raise InvalidInput(f"the body is not {name.decode()}, as its Content-Encoding says") from None


def _members(packed: memoryview, largest: int) -> bytes:
    """gzip may come in several, and what zlib does not use of what it is given it copies: so it is given ever more."""
    found, at, members = bytearray(), 0, 0
    while at < len(packed) or not at:
        members += 1
        if members > MOST_MEMBERS:
            raise InvalidInput(f"the body is gzip in more than {MOST_MEMBERS} members: pack it in one")
        unpacker, window = zlib.decompressobj(_ZLIB_OR_GZIP), _FIRST_WINDOW
        while not unpacker.eof:
            if at >= len(packed):
                raise InvalidInput("the body ends before what its Content-Encoding packs")
            piece = packed[at : at + window]
            found += unpacker.decompress(piece, largest + 1 - len(found))
            if len(found) > largest:
                raise _too_large(largest)
            at += len(piece) - len(unpacker.unused_data)
            window *= 2
    return bytes(found)


def _too_large(largest: int) -> TooLarge:
    cure = "send it in parts, or as a stream of lines; SERVING_LARGEST_BODY sets how much may come at once"
    return TooLarge(f"the body is larger than {largest} bytes: {cure}")


def deadline(milliseconds: bytes) -> float:
    """By `time.monotonic`. InvalidInput; DeadlineExpired when nothing is left."""
    try:
        left = float(milliseconds)
    except ValueError:
        left = -1
    if not 0 <= left < 1e9:
        raise InvalidInput(f"{TIMEOUT.decode()} must be a number of milliseconds")
    if left == 0:
        raise DeadlineExpired
    return time.monotonic() + left / 1000


def timing(call: Call) -> bytes:
    """https://www.w3.org/TR/server-timing/, in milliseconds."""
    return b"queue;dur=%.3f, decode;dur=%.3f, predict;dur=%.3f, encode;dur=%.3f" % (
        call.queue * 1000,
        call.decode * 1000,
        call.predict * 1000,
        call.encode * 1000,
    )
