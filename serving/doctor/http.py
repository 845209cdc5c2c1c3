"""One look at a web server, with an end: its status, its words and its clock."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpcore

LARGEST = 1 << 20


class Silent(Exception):
    """It cannot be reached, or does not answer; why."""


@dataclass(frozen=True)
class Seen:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    skew_seconds: float | None = None
    """How far its clock is ahead of ours; None where it does not say."""


def look(url: str, seconds: float, headers: Mapping[str, str] | None = None) -> Seen:
    """Silent. Follows no redirect."""
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    given: list[tuple[bytes | str, bytes | str]] = [*(headers or {}).items()]
    began = time.time()
    try:
        with (
            httpcore.ConnectionPool() as pool,
            pool.stream("GET", url, headers=given, extensions={"timeout": timeout}) as answer,
        ):
            asked = (began + time.time()) / 2
            text = _read(answer)
            named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            return Seen(answer.status, named, text, skew(named.get("date"), asked))
    except (httpcore.TimeoutException, TimeoutError):
        raise Silent(f"no answer within {seconds:g} s") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError, ValueError) as error:
        raise Silent(str(error) or type(error).__name__) from None


def skew(date: str | None, now: float) -> float | None:
    """Of a Date header, which counts whole seconds."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - now
    except ValueError:
        return None


def _read(answer: httpcore.Response) -> str:
    found = b""
    for part in answer.iter_stream():
        found += part
        if len(found) > LARGEST:
            break
    return found[:LARGEST].decode("utf-8", "replace")
