"""The certificates as their files are now. Whoever takes a connection asks, so nothing has to poll.

A connection keeps what it was made with. Files that are no good, half written perhaps, change nothing.
"""

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.settings import Tls
from serving.tls.certificates import CertificateInvalid, Certificates, read

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5
"""Files that were refused are looked at again so much later: they may be readable, or their time have come."""

_Stamp = tuple[tuple[int, int, int, int] | None, ...]


class Latest:
    """For threads, too: gRPC asks from its own."""

    def __init__(self, places: Tls, clock: Callable[[], float] = time.monotonic) -> None:
        """CertificateInvalid."""
        self._files = tuple(each for each in (places.certificate, places.key, places.client_ca) if each)
        self._places, self._clock, self._lock = places, clock, threading.Lock()
        self._refused: _Stamp | None = None
        self._reason, self._again_at = "", -math.inf
        self._seen = self._stamp()
        """Of what was read last, and taken."""
        self._read = read(places)

    @property
    def mutual(self) -> bool:
        return self._places.client_ca is not None

    def now(self) -> Certificates:
        """Read again only when a file is another one than was taken; what was refused, now and then."""
        with self._lock:
            # Before reading: what changes meanwhile is another stamp at the next look.
            stamp = self._stamp()
            if stamp != self._seen and (stamp != self._refused or self._clock() >= self._again_at):
                self._read_again(stamp)
            return self._read

    def _read_again(self, stamp: _Stamp) -> None:
        new = stamp != self._refused
        self._refused, self._again_at = stamp, self._clock() + AGAIN_SECONDS
        try:
            self._read = read(self._places)
        except CertificateInvalid as refused:
            if new or str(refused) != self._reason:
                log.error("certificate not taken, the former one stays", extra={"reason": str(refused)})
            self._reason = str(refused)
        else:
            self._seen, self._refused = stamp, None
            log.info("certificate changed", extra={"until": self._read.until.isoformat()})

    def _stamp(self) -> _Stamp:
        return tuple(_stamp(file) for file in self._files)


class LatestContext(ssl.SSLContext):
    """Stands where a server wants one context for its whole life; each connection is made with the latest."""

    latest: Latest

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """What event loops call for every connection."""
        return self.latest.now().context.wrap_bio(*arguments, **options)


def context_of(latest: Latest) -> LatestContext:
    made = LatestContext(ssl.PROTOCOL_TLS_SERVER)
    made.latest = latest
    return made


def _stamp(file: Path) -> tuple[int, int, int, int] | None:
    try:
        found = file.stat()  # through links: Kubernetes changes where they lead
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
