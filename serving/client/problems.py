"""HTTP responses: who answered, and which error it is that a problem (RFC 9457), or whatever else, tells of. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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


def check(response: Response, *fine: HTTPStatus) -> None:
    """Raises the error that a response tells of, unless its status is `fine`, or 200 where none is named."""
    if response.status in (fine or (HTTPStatus.OK,)):
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
    raise _kind(code, response.status)(reason, code=code, source=source_of(response), retry_after=retry_after(response))


def _kind(code: str, status: int) -> type[ClientError]:
    by_status = CallerError if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR else ServerFailed
    return kind_of(code, _UNLESS_NAMED.get(status, by_status))


def retry_after(response: Response) -> float:
    """Seconds that the server wants to be left alone; 0 where it does not say.

    A date is taken against the server's own `Date`: two clocks need not agree.
    """
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    until, now = _moment(said), _moment(response.headers.get("date", "")) or datetime.now(UTC)
    return 0 if until is None else max(0, (until - now).total_seconds())


def unreadable(response: Response) -> UnreadableAnswer:
    reason = "what answered is no Slipway server, or the answer is not whole"
    return UnreadableAnswer(reason, source=source_of(response))


def _moment(said: str) -> datetime | None:
    """Of a date as HTTP has it."""
    try:
        found = parsedate_to_datetime(said)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
