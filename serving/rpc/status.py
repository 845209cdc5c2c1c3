"""Errors as gRPC statuses: the only place that turns an error into one, and one of the few that may catch everything.

Trailers carry the request id, the version that was to answer, and the error's code, as `x-error-code`.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from typing import NoReturn, TypeVar

from grpc import StatusCode

from serving import logs
from serving.errors import (
    Busy,
    CallerError,
    DeadlineExpired,
    NotAuthentic,
    ServingError,
    TooLarge,
    UnknownModel,
    UnknownVersion,
)
from serving.rpc.exchange import Context, Exchange

log = logging.getLogger(__name__)

ERROR_CODE = "x-error-code"
INTERNAL = "internal-error"
UNEXPECTED = "something went wrong here; the log has the cause"

STATUS: dict[type[ServingError], StatusCode] = {
    ServingError: StatusCode.INTERNAL,
    CallerError: StatusCode.INVALID_ARGUMENT,
    NotAuthentic: StatusCode.UNAUTHENTICATED,
    UnknownModel: StatusCode.NOT_FOUND,
    UnknownVersion: StatusCode.NOT_FOUND,
    TooLarge: StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExpired: StatusCode.DEADLINE_EXCEEDED,
    Busy: StatusCode.UNAVAILABLE,
}

Servicer = TypeVar("Servicer")
Request = TypeVar("Request")
Response = TypeVar("Response")


def status_of(kind: type[ServingError]) -> StatusCode:
    """Of the nearest ancestor in the table."""
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def sentence(error: Exception, request_id: str) -> str:
    """What the caller is told. The log gets the cause, and whatever nobody expected."""
    if isinstance(error, ServingError):
        if error.__cause__ is not None:
            level = logging.ERROR if status_of(type(error)) is StatusCode.INTERNAL else logging.WARNING
            extra = {"code": error.code, "request_id": request_id, "cause": logs.where(error)}
            log.log(level, "request failed", extra=extra)
        return str(error)
    log.error("request crashed", extra={"request_id": request_id, "cause": logs.where(error)})
    return UNEXPECTED


def answers(
    method: Callable[[Servicer, Request, Exchange], Awaitable[Response]],
) -> Callable[[Servicer, Request, Context], Awaitable[Response]]:
    """A method with one answer, whose errors become statuses."""

    @wraps(method)
    async def answer(self: Servicer, request: Request, context: Context) -> Response:
        exchange = Exchange(context)
        try:
            return await method(self, request, exchange)
        except Exception as error:  # noqa: BLE001 - the boundary
            await _refuse(exchange, error)

    return answer


def streams(
    method: Callable[[Servicer, Request, Exchange], AsyncGenerator[Response, None]],
) -> Callable[[Servicer, Request, Context], AsyncIterator[Response]]:
    """A method that answers with a stream, which an error ends."""

    @wraps(method)
    async def answer(self: Servicer, request: Request, context: Context) -> AsyncIterator[Response]:
        exchange = Exchange(context)
        try:
            async with aclosing(method(self, request, exchange)) as parts:
                async for each in parts:
                    yield each
        except Exception as error:  # noqa: BLE001 - the boundary
            await _refuse(exchange, error)

    return answer


async def _refuse(exchange: Exchange, error: Exception) -> NoReturn:
    told = sentence(error, exchange.request_id)
    status, code = StatusCode.INTERNAL, INTERNAL
    if isinstance(error, ServingError):
        status, code = status_of(type(error)), error.code
    await exchange.context.abort(status, told, exchange.trailers((ERROR_CODE, code)))
