"""HTTP responses: who answered, and which error it is that a problem (RFC 9457), or whatever else, tells of. Pure."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from serving.client.errors import (
    Busy,
    CallerError,
    ClientError,
    DeadlineExpired,
    ServerFailed,
    Source,
    UnreadableAnswer,
    kind_of,
)

_PROBLEM = "application/problem+json"
_UNLESS_NAMED: dict[int, type[ClientError]] = {429: Busy, 503: Busy, 504: DeadlineExpired}


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """By lower-case name, or by any."""
    body: bytes


def source_of(response: Response) -> Source:
    headers = response.headers
    return Source(headers.get("x-model-name", ""), headers.get("x-model-version", ""), headers.get("x-request-id", ""))


def check(response: Response) -> None:
    """Raises the error that a response other than 200 tells of."""
    if response.status == HTTPStatus.OK:
        return
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    told: Any = None
    if media_type == _PROBLEM:
        try:
            told = json.loads(response.body)
        except (ValueError, RecursionError):
            told = None
    problem = told if isinstance(told, dict) else {}
    reason, code = problem.get("detail"), str(problem.get("type", "")).rpartition(":")[2]
    if not isinstance(reason, str):
        # The body is somebody else's: a proxy's page may repeat what was sent.
        reason, code = f"the server answered with status {response.status}", ""
    raise _kind(code, response.status)(
        reason, code=code, source=source_of(response), retry_after=_seconds(response.headers.get("retry-after", ""))
    )


def _kind(code: str, status: int) -> type[ClientError]:
    by_status = CallerError if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR else ServerFailed
    return kind_of(code, _UNLESS_NAMED.get(status, by_status))


def _seconds(retry_after: str) -> float:
    """0 for none. Serving gives seconds; a date, which HTTP allows too, would need two clocks that agree."""
    return float(retry_after) if retry_after.strip().isdecimal() else 0


def unreadable(response: Response) -> UnreadableAnswer:
    reason = "what answered is no Slipway server, or the answer is not whole"
    return UnreadableAnswer(reason, source=source_of(response))
