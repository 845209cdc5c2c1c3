"""A line for each request that was answered, or only for those that were refused: SERVING_LOG_REQUESTS.

Not told of what was asked: no path, no header, no body.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal

from serving import errors
from serving.errors import ServingError
from serving.metrics.declared import INTERNAL

log = logging.getLogger(__name__)

Which = Literal["off", "errors", "all"]
ERRORS_A_SECOND = 20
"""Of one process. Who is refused as fast as he can ask must not make the log what holds up all others."""

_KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ServingError)]
_OURS = frozenset({INTERNAL, *(each.code for each in _KINDS if each.ours)})


class RequestLog:
    def __init__(self, which: Which = "off", clock: Callable[[], float] = time.monotonic) -> None:
        self.all, self.errors = which == "all", which != "off"
        self._which, self._clock = which, clock
        self._second, self._told, self._left_out = 0, 0, 0

    def answered(self, seconds: float, **about: object) -> None:
        """`about`: protocol, route, status, request_id, and what else is known of it."""
        if self.all:
            log.info("request answered", extra={**about, "ms": round(seconds * 1000, 2)})

    def refused(self, seconds: float, code: str, **about: object) -> None:
        """`code`: of the error, whose kind says whose fault it is. Of errors alone a few each second are told."""
        if not self.errors:
            return
        extra = {**about, "code": code, "ms": round(seconds * 1000, 2)}
        if not self.all:
            second = int(self._clock())
            if second != self._second:
                self._second, self._told = second, 0
            self._told += 1
            if self._told > ERRORS_A_SECOND:
                self._left_out += 1
                return
            if self._left_out:
                extra["left_out"], self._left_out = self._left_out, 0
        log.log(logging.WARNING if code in _OURS else logging.INFO, "request refused", extra=extra)
