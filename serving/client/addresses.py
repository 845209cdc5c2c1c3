"""Where a server is, and which protocol it is to be spoken to in. Pure."""

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

Transport = Literal["http", "grpc"]


class Address(NamedTuple):
    transport: Transport
    place: str
    """A URL for HTTP, HOST:PORT for gRPC."""
    secure: bool
    """With TLS."""


def address(url: str, transport: Transport | None) -> Address:
    """Of `grpc(s)://HOST:PORT`, `http(s)://…`, or HOST:PORT with a transport. ValueError for anything else."""
    scheme, _, rest = url.partition("://") if "://" in url else ("", "", url)
    if transport not in {None, "http", "grpc"}:
        raise ValueError("transport is http or grpc")
    if scheme not in {"", "http", "https", "grpc", "grpcs"} or not rest or (not scheme and transport is None):
        raise ValueError("the address of a server is http://…, https://…, grpc://HOST:PORT or grpcs://HOST:PORT")
    if scheme in {"grpc", "grpcs"} or transport == "grpc":
        if scheme in {"http", "https"} or transport == "http":
            raise ValueError(
                f"{scheme}:// is no address for {transport}; gRPC's is grpc://HOST:PORT or grpcs://HOST:PORT"
            )
        return Address("grpc", urlsplit(f"//{rest}").netloc, scheme == "grpcs")
    return Address("http", url if scheme else f"http://{url}", scheme == "https")
