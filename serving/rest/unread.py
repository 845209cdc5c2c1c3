"""Requests that are refused before anything of them is understood, by ready-made answers: that costs hardly a thing."""

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from serving.errors import QueueFull
from serving.metrics.declared import TOO_SLOW, Route
from serving.rest import problems
from serving.rest.context import SAFE, a_name

_PREDICTIONS = {b"/invocations": Route.INVOCATIONS, b"/infer": Route.INFER}
"""By how their paths end."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r\n", re.IGNORECASE)
_REQUEST_ID = re.compile(rb"\r\nx-request-id: *([A-Za-z0-9._:-]{1,128})\r\n", re.IGNORECASE)


class Unread(NamedTuple):
    """What is known of such a request."""

    route: Route
    code: str
    status: int
    request_id: str


Refused = Callable[[Unread], None]


def prediction(data: bytes) -> Route | None:
    """What `data` asks for, if it is one whole request for a prediction. Nothing is parsed."""
    if not data.startswith(b"POST /"):
        return None
    length, end = _LENGTH.search(data), data.find(b"\r\n\r\n")
    if length is None or end < length.start() or len(data) != end + 4 + int(length[1]):
        return None
    path = data[len(b"POST ") : data.find(b" ", len(b"POST "))]
    return _PREDICTIONS.get(path[path.rfind(b"/") :])


def name_of(data: bytes) -> str:
    """The id that its caller gave it, or a new one."""
    given = _REQUEST_ID.search(data, 0, data.find(b"\r\n\r\n") + 2)
    return given[1].decode() if given else a_name()


class ReadyMade:
    """A problem's answer, but for what differs from one to the next."""

    def __init__(self, status: HTTPStatus, code: str, sentence: str, header: str) -> None:
        self.status, self.code = status.value, code
        named = {"type": f"urn:slipway:problem:{code}", "title": code.replace("-", " ").capitalize(), "status": status}
        content = {**named, "detail": sentence, "error": sentence, "request_id": "%s"}
        safe = "".join(f"{name}: {value}\r\n" for name, value in SAFE.items())
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {problems.MEDIA_TYPE}\r\n{header}\r\n{safe}"
        self._head, self._body = head.encode(), msgspec.json.encode(content)

    def answer(self, request_id: str, others: Iterable[tuple[bytes, bytes]]) -> bytes:
        """`others`: headers of all that this server answers."""
        named = request_id.encode()
        body = self._body % named
        more = b"".join(b"%s: %s\r\n" % each for each in others)
        return b"%s%sx-request-id: %s\r\ncontent-length: %d\r\n\r\n%s" % (self._head, more, named, len(body), body)


SLOW = ReadyMade(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW, "the request did not come in time", "connection: close")
BUSY = ReadyMade(HTTPStatus.SERVICE_UNAVAILABLE, QueueFull.code, str(QueueFull()), "retry-after: 1")
