"""Let a stop request arrive as an exception, so that what was started is stopped, and then not disturb the stopping."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_on_request() -> None:
    """From now on SIGTERM and a closed terminal do what Ctrl-C does: raise."""
    for request in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(request, _leave)


@contextmanager
def undisturbed() -> Iterator[None]:
    before = {request: signal.signal(request, signal.SIG_IGN) for request in REQUESTS}
    try:
        yield
    finally:
        for request, handler in before.items():
            signal.signal(request, handler)


def _leave(request: int, _frame: FrameType | None) -> None:
    sys.exit(128 + request)
