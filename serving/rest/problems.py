"""Errors as RFC 9457 problems, with the extra member `error` that Open Inference clients look for.

The only place that turns an error into a status, and one of the few that may catch everything.
"""

import logging
import math
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import logs
from serving.errors import (
    Busy,
    CallerError,
    DeadlineExpired,
    Forbidden,
    JobConflict,
    KeyReused,
    NoJobs,
    NotAuthentic,
    RateExceeded,
    ServingError,
    Stopping,
    TooLarge,
    Unauthenticated,
    UnknownJob,
    UnknownModel,
    UnknownVersion,
    UnsupportedEncoding,
    UnsupportedMedia,
)
from serving.rest.context import CODE, REQUEST_ID, SAFE, about, request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[ServingError], int] = {
    ServingError: 500,
    CallerError: 400,
    Unauthenticated: 401,
    NotAuthentic: 401,
    Forbidden: 403,
    UnknownModel: 404,
    UnknownVersion: 404,
    UnknownJob: 404,
    JobConflict: 409,
    KeyReused: 409,
    TooLarge: 413,
    UnsupportedMedia: 415,
    UnsupportedEncoding: 415,
    NoJobs: 501,
    RateExceeded: 429,
    DeadlineExpired: 504,
    Busy: 503,
}


def status_of(kind: type[ServingError]) -> int:
    """Of the nearest ancestor in the table."""
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def install(app: FastAPI) -> None:
    app.exception_handler(ServingError)(_serving_error)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_validation_error)


async def _serving_error(request: Request, error: ServingError) -> JSONResponse:
    return answer(request.scope, error)


def answer(scope: Scope, error: ServingError, headers: Sequence[tuple[bytes, bytes]] = ()) -> JSONResponse:
    """The problem that tells a caller of `error`; the log is told of its cause."""
    status = status_of(type(error))
    if error.__cause__ is not None:
        level = logging.ERROR if status >= 500 else logging.WARNING
        extra = {"code": error.code, **about(scope), "cause": logs.where(error)}
        log.log(level, "request failed", extra=extra)
    named = {name.decode(): value.decode("latin-1") for name, value in headers}
    return problem(scope, status, error.code, str(error), named | _advice(error))


def _advice(error: ServingError) -> dict[str, str]:
    """What HTTP says besides of such an error."""
    if isinstance(error, Busy):
        return {"retry-after": str(max(1, math.ceil(error.retry_seconds)))}
    return {"www-authenticate": 'Bearer realm="slipway"'} if isinstance(error, Unauthenticated) else {}


def crashed(scope: Scope, error: Exception) -> JSONResponse:
    """The 500 for what nobody expected; the log says where it came from."""
    log.error("request crashed", extra={**about(scope), "cause": logs.where(error)})
    return problem(scope, 500, "internal-error", "something went wrong here; the log has the cause")


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    return refused(request.scope, error)


def refused(scope: Scope, error: HTTPException) -> JSONResponse:
    """The problem for what HTTP itself refuses."""
    phrase = HTTPStatus(error.status_code).phrase
    # Not error.detail: it is not ours, so nothing promises that it repeats nothing.
    return problem(scope, error.status_code, phrase.lower().replace(" ", "-"), phrase, error.headers)


async def _validation_error(request: Request, _error: RequestValidationError) -> JSONResponse:
    return problem(request.scope, 400, CallerError.code, "the request does not have the documented shape")


def problem(
    scope: Scope, status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    scope["state"][CODE] = code
    content = {
        "type": f"urn:slipway:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": sentence,
        "error": sentence,
        "request_id": request_id(scope),
    }
    named = {**(headers or {}), REQUEST_ID: request_id(scope), **SAFE}
    return JSONResponse(content, status, named, media_type=MEDIA_TYPE)


class Boundary:
    """What nobody expected becomes a 500 with the request id; the log says where it came from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.debug("caller hung up", extra={"request_id": request_id(scope)})
        except CancelledError:  # uvicorn's, when the time to finish is over
            if not started:
                await answer(scope, Stopping())(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the boundary: see the class
            response = crashed(scope, error)
            if not started:  # half an answer is out; ending without the rest is all the caller can be told
                await response(scope, receive, send)
