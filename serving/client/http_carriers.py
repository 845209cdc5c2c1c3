"""Carry one HTTP request and bring back its response, on a thread or in an event loop. Decides nothing."""

import asyncio
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any, NoReturn

import httpx

from serving.client.addresses import Address
from serving.client.certificates import Certificates
from serving.client.errors import DeadlineExpired, Unreachable
from serving.client.over_http import TIMEOUT, Request
from serving.client.problems import Response

NONE = Certificates()
CONNECT_SECONDS = 5.0
"""A machine that takes no connection in that time is not there."""


class Carrier:
    def __init__(self, to: Address, headers: Mapping[str, str], shown: Certificates = NONE) -> None:
        self._http = httpx.Client(base_url=to.place, headers=dict(headers), verify=shown.context() or True)

    def send(self, request: Request, seconds: float | None) -> Response:
        """Unreachable; DeadlineExpired after `seconds`, or, where an answer comes in drops, after twice that."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            with self._for(request) as http, http.stream(**_options(request, seconds)) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if until is not None and time.monotonic() > until:
                        raise DeadlineExpired
                return Response(response.status_code, response.headers, bytes(body))
        except httpx.RequestError as error:
            _refuse(error)

    def close(self) -> None:
        self._http.close()

    def _for(self, request: Request) -> AbstractContextManager[httpx.Client]:
        return httpx.Client() if request.elsewhere else nullcontext(self._http)


class AsyncCarrier:
    def __init__(self, to: Address, headers: Mapping[str, str], shown: Certificates = NONE) -> None:
        self._http = httpx.AsyncClient(base_url=to.place, headers=dict(headers), verify=shown.context() or True)

    async def send(self, request: Request, seconds: float | None) -> Response:
        """Unreachable; DeadlineExpired after `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._for(request) as http:
                response = await http.request(**_options(request, seconds))
        except TimeoutError as error:
            raise DeadlineExpired from error
        except httpx.RequestError as error:
            _refuse(error)
        return Response(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        await self._http.aclose()

    def _for(self, request: Request) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return httpx.AsyncClient() if request.elsewhere else nullcontext(self._http)


def _options(request: Request, seconds: float | None) -> dict[str, Any]:
    headers = dict(request.headers)
    if seconds is not None and not request.elsewhere:
        headers[TIMEOUT] = str(max(1, int(seconds * 1000)))
    connect = CONNECT_SECONDS if seconds is None else min(seconds, CONNECT_SECONDS)
    timeout = httpx.Timeout(seconds, connect=connect)
    return {
        "method": request.method,
        "url": request.path,
        "headers": headers,
        "content": request.body,
        "timeout": timeout,
    }


def _refuse(error: httpx.RequestError) -> NoReturn:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        raise DeadlineExpired from error
    reason = next(filter(None, map(_of_tls, _behind(error))), type(error).__name__)
    raise Unreachable(f"the server cannot be reached, or broke off: {reason}") from error


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_tls(error: BaseException) -> str | None:
    """Whose certificate it is about, which nobody would guess from a type's name."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return f"TLS: {error.reason}" if isinstance(error, ssl.SSLError) else None
