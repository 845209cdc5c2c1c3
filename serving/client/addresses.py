"""Where a server is, and which protocol it is to be spoken to in. Pure."""

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

Transport = Literal["http", "grpc"]


class Address(NamedTuple):
    transport: Transport
    place: str
    """A URL for HTTP, HOST:PORT for gRPC."""


def address(url: str, transport: Transport | None) -> Address:
    """Of `grpc://HOST:PORT`, `http://…`, `https://…`, or HOST:PORT with a transport. ValueError for anything else."""
    scheme, _, rest = url.partition("://") if "://" in url else ("", "", url)
    if transport not in {None, "http", "grpc"}:
        raise ValueError("transport is http or grpc")
    if scheme not in {"", "http", "https", "grpc"} or not rest or (not scheme and transport is None):
        raise ValueError("the address of a server is http://…, https://… or grpc://HOST:PORT")
    if scheme == "grpc" or transport == "grpc":
        if scheme in {"http", "https"} or transport == "http":
            raise ValueError(f"{scheme}:// is no address for {transport}; gRPC's is grpc://HOST:PORT")
        return Address("grpc", urlsplit(f"//{rest}").netloc)
    return Address("http", url if scheme else f"http://{url}")
