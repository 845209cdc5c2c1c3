"""Tell somebody's server that a job has ended: signed, and never to an address inside our own network unless allowed.

Signed as Standard Webhooks has it (https://www.standardwebhooks.com): HMAC-SHA256 over `ID.SECONDS.BODY`, in the header
`webhook-signature` as `v1,` and base64. The id stays the same when a message is sent again.
"""

import base64
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from serving.jobs.addresses import is_public

TIMEOUT_SECONDS = 10
_OK = range(200, 300)

LookUp = Callable[..., Sequence[tuple[Any, ...]]]
"""As `socket.getaddrinfo`."""


class NotDelivered(Exception):
    """The reason, which is for a log: it names no address."""


class Caller:
    def __init__(self, secret: str, *, private: bool = False, look_up: LookUp = socket.getaddrinfo) -> None:
        """`private`: may an address be one that is not on the public internet?"""
        self._secret = secret
        network = _Public(httpcore.SyncBackend(), look_up, private=private)
        self._pool = httpcore.ConnectionPool(network_backend=network, max_keepalive_connections=0)

    def call(self, url: str, name: str, body: bytes, seconds: int) -> None:
        """`name`: of the message. `seconds`: the time, since the epoch. Follows no redirect. NotDelivered."""
        headers: list[tuple[bytes | str, bytes | str]] = [
            ("content-type", "application/json"),
            ("user-agent", "slipway"),
            ("webhook-id", name),
            ("webhook-timestamp", str(seconds)),
            ("webhook-signature", signature(self._secret, name, seconds, body)),
        ]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_SECONDS)
        try:
            answer = self._pool.request("POST", url, headers=headers, content=body, extensions={"timeout": timeouts})
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ValueError) as error:
            # What the library says of others may name the address.
            raise NotDelivered(str(error) if isinstance(error, _Private) else type(error).__name__) from error
        if answer.status not in _OK:
            raise NotDelivered(f"it answered with status {answer.status}")


def signature(secret: str, name: str, seconds: int, body: bytes) -> str:
    signed = f"{name}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


class _Private(httpcore.ConnectError):
    def __init__(self) -> None:
        super().__init__("its name leads to an address that is not on the public internet")


class _Public(httpcore.NetworkBackend):
    """Looks names up itself and connects to what it has looked at, so that no second answer can lead elsewhere."""

    def __init__(self, inner: httpcore.NetworkBackend, look_up: LookUp, *, private: bool) -> None:
        self._inner, self._look_up, self._private = inner, look_up, private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = self._look_up(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError("no such name") from error
        addresses = [str(each[4][0]) for each in found]
        if not self._private and not all(is_public(ipaddress.ip_address(each.partition("%")[0])) for each in addresses):
            raise _Private
        return self._inner.connect_tcp(addresses[0], port, timeout, local_address, socket_options)
