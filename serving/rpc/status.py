"""Errors as gRPC statuses: the only place that turns an error into one, and one of the few that may catch everything.

Trailers carry the request id, the version that was to answer, and the error's code, as `x-error-code`.
"""

import logging
import math
from asyncio import CancelledError
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from typing import NoReturn, Protocol, TypeVar

from grpc import StatusCode

from serving import logs
from serving.access.guard import Guard
from serving.engine import Engine
from serving.errors import (
    Busy,
    CallerError,
    DeadlineExpired,
    Forbidden,
    NotAuthentic,
    QueueFull,
    RateExceeded,
    ServingError,
    TooLarge,
    Unauthenticated,
    UnknownModel,
    UnknownVersion,
)
from serving.metrics.declared import GONE, INTERNAL
from serving.rpc import told
from serving.rpc.exchange import Context, Exchange, Question, route_of

log = logging.getLogger(__name__)

ERROR_CODE = "x-error-code"
PUSHBACK = "grpc-retry-pushback-ms"
"""As HTTP's Retry-After; gRPC's own clients heed it. https://github.com/grpc/proposal/blob/master/A6-client-retries.md"""
UNEXPECTED = "something went wrong here; the log has the cause"

STATUS: dict[type[ServingError], StatusCode] = {
    ServingError: StatusCode.INTERNAL,
    CallerError: StatusCode.INVALID_ARGUMENT,
    Unauthenticated: StatusCode.UNAUTHENTICATED,
    NotAuthentic: StatusCode.UNAUTHENTICATED,
    Forbidden: StatusCode.PERMISSION_DENIED,
    UnknownModel: StatusCode.NOT_FOUND,
    UnknownVersion: StatusCode.NOT_FOUND,
    TooLarge: StatusCode.RESOURCE_EXHAUSTED,
    RateExceeded: StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExpired: StatusCode.DEADLINE_EXCEEDED,
    Busy: StatusCode.UNAVAILABLE,
    QueueFull: StatusCode.RESOURCE_EXHAUSTED,
}


OPEN = frozenset({"ServerLive", "ServerReady"})
"""Methods that ask nobody who they are, as REST's health."""


class OfEngine(Protocol):
    @property
    def engine(self) -> Engine: ...

    @property
    def guard(self) -> Guard | None: ...


Servicer = TypeVar("Servicer", bound=OfEngine)
Request = TypeVar("Request")
Response = TypeVar("Response")


def status_of(kind: type[ServingError]) -> StatusCode:
    """Of the nearest ancestor in the table."""
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def code_of(error: Exception) -> str:
    return error.code if isinstance(error, ServingError) else INTERNAL


def sentence(error: Exception, question: Question) -> str:
    """What the caller is told. The log gets the cause, and whatever nobody expected."""
    if isinstance(error, ServingError):
        if error.__cause__ is not None:
            level = logging.ERROR if status_of(type(error)) is StatusCode.INTERNAL else logging.WARNING
            extra = {"code": error.code, **told.about(question), "cause": logs.where(error)}
            log.log(level, "request failed", extra=extra)
        return str(error)
    log.error("request crashed", extra={**told.about(question), "cause": logs.where(error)})
    return UNEXPECTED


def answers(
    method: Callable[[Servicer, Request, Exchange], Awaitable[Response]],
) -> Callable[[Servicer, Request, Context], Awaitable[Response]]:
    """A method with one answer, whose errors become statuses."""

    route, is_open = route_of(method.__name__), method.__name__ in OPEN

    @wraps(method)
    async def answer(self: Servicer, request: Request, context: Context) -> Response:
        exchange = Exchange(context, self.engine, route)
        try:
            if self.guard is not None and not is_open:
                await exchange.recognise(self.guard)
            response = await method(self, request, exchange)
        except CancelledError:
            exchange.question.ended(_why_cancelled(context))
            raise
        except Exception as error:  # noqa: BLE001 - the boundary
            await refuse(exchange, error)
        exchange.question.ended()
        return response

    return answer


def streams(
    method: Callable[[Servicer, Request, Exchange], AsyncGenerator[Response, None]],
) -> Callable[[Servicer, Request, Context], AsyncIterator[Response]]:
    """A method that answers with a stream, which an error ends."""

    route = route_of(method.__name__)

    @wraps(method)
    async def answer(self: Servicer, request: Request, context: Context) -> AsyncIterator[Response]:
        exchange = Exchange(context, self.engine, route)
        try:
            if self.guard is not None:
                await exchange.recognise(self.guard)
            async with aclosing(method(self, request, exchange)) as parts:
                async for each in parts:
                    yield each
        except (CancelledError, GeneratorExit):
            exchange.question.ended(_why_cancelled(context))
            raise
        except Exception as error:  # noqa: BLE001 - the boundary
            await refuse(exchange, error)
        if exchange.in_messages:
            exchange.question.told()
        else:
            exchange.question.ended()

    return answer


def _why_cancelled(context: Context) -> str:
    """gRPC cancels what its caller does not wait for any more, and what is past its deadline."""
    remaining = context.time_remaining()
    return DeadlineExpired.code if remaining is not None and remaining <= 0 else GONE


async def refuse(exchange: Exchange, error: Exception) -> NoReturn:
    """With its status and what the caller is told; counted."""
    said = sentence(error, exchange.question)
    status = status_of(type(error)) if isinstance(error, ServingError) else StatusCode.INTERNAL
    code = code_of(error)
    exchange.question.ended(code, status)
    later = ((PUSHBACK, str(math.ceil(1000 * error.retry_seconds))),) if isinstance(error, Busy) else ()
    await exchange.context.abort(status, said, exchange.trailers((ERROR_CODE, code), *later))
