"""gRPC responses, and which error a status other than OK tells of. Pure; knows no gRPC."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from serving.client.errors import (
    Busy,
    CallerError,
    ClientError,
    DeadlineExpired,
    ServerFailed,
    Source,
    TooLarge,
    Unreachable,
    kind_of,
)

_UNLESS_NAMED: dict[str, tuple[type[ClientError], str]] = {
    "UNAVAILABLE": (Unreachable, "the server cannot be reached, or broke off"),
    "DEADLINE_EXCEEDED": (DeadlineExpired, "the time given to this call is up"),
    "RESOURCE_EXHAUSTED": (TooLarge, "the request or its answer is larger than a message may be"),
    "INVALID_ARGUMENT": (CallerError, "the server refused the request"),
    "UNAUTHENTICATED": (CallerError, "the server wants to know who asks"),
    "PERMISSION_DENIED": (CallerError, "the server does not let this caller ask"),
}


class Response(NamedTuple):
    status: str
    """gRPC's name of the code."""
    details: str
    trailers: Mapping[str, str]
    message: Any
    """None unless the status is OK."""


def check(response: Response) -> None:
    """Raises the error that it tells of."""
    if response.status == "OK":
        return
    trailers = response.trailers
    code = trailers.get("x-error-code", "")
    kind, reason = _UNLESS_NAMED.get(response.status, (ServerFailed, f"the server answered {response.status}"))
    source = Source(
        trailers.get("x-model-name", ""), trailers.get("x-model-version", ""), trailers.get("x-request-id", "")
    )
    if not code:  # from gRPC itself, or a proxy
        raise kind(reason, source=source)
    found = kind_of(code, Busy if kind is Unreachable else kind)
    raise found(response.details, code=code, source=source, retry_after=_pushed_back(trailers))


def _pushed_back(trailers: Mapping[str, str]) -> float:
    """The seconds that the server wants to be left alone."""
    said = trailers.get("grpc-retry-pushback-ms", "")
    return int(said) / 1000 if said.isascii() and said.isdigit() and len(said) < 8 else 0.0
