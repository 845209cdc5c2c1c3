"""A thread for work that nobody waits for: bounded, given up first, and never more than a share of the time.

The candidate hears its copies here, one lane a worker and trial.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from serving import logs

log = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(frozen=True)
class Bounds:
    items: int = 64
    """That wait; who comes then is turned away."""
    bytes: int = 32 << 20
    """Of all that wait."""
    share: float = 0.2
    """Of one thread's time, so that callers keep the rest."""
    busy_seconds: float = 0.02
    """Who waited so long for Production has met a busy worker: then there is no copy."""


_REST_SECONDS = 0.005
"""Shorter rests are added up: falling asleep costs something too."""
_LONGEST_REST_SECONDS = 1


class Lane:
    def __init__(
        self,
        bounds: Bounds = Bounds(),
        clock: Clock = time.perf_counter,
        rest: Callable[[float], object] | None = None,
    ) -> None:
        """`rest` does nothing for so many seconds; unless the lane is closed meanwhile."""
        self.bounds, self._clock = bounds, clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._bytes = 0
        self._running_since: float | None = None
        self._started = False
        self._closing = threading.Event()
        self._rest = rest or self._closing.wait

    def offer(self, work: Callable[[], None], nbytes: int) -> bool:
        """Will it be done? Never waits, whatever the thread does."""
        with self._changed:
            full = len(self._waiting) >= self.bounds.items or self._bytes + nbytes > self.bounds.bytes
            if self._closing.is_set() or full:
                return False
            self._waiting.append((work, nbytes))
            self._bytes += nbytes
            if not self._started:
                # A daemon: a model that hangs must not keep the process from ending.
                threading.Thread(target=self._work, name="candidate", daemon=True).start()
                self._started = True
            self._changed.notify()
            return True

    def stuck(self, seconds: float) -> int:
        """How many cannot be done because one has been going on for longer; that one included."""
        with self._changed:
            since = self._running_since
            return 1 + len(self._waiting) if since is not None and self._clock() - since > seconds else 0

    def close(self) -> None:
        """Takes no more, and drops what waits."""
        with self._changed:
            self._closing.set()
            self._waiting.clear()
            self._changed.notify()

    def _work(self) -> None:
        owed = 0.0
        while (work := self._next()) is not None:
            began = self._clock()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the next one may go well
                log.error("copy failed", extra={"cause": logs.where(error)})
            del work  # it holds a request and a model
            with self._changed:
                self._running_since = None
            owed += (self._clock() - began) * (1 / self.bounds.share - 1)
            if owed > _REST_SECONDS:
                self._rest(min(owed, _LONGEST_REST_SECONDS))
                owed = 0.0

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._waiting:
                if self._closing.is_set():
                    return None
                self._changed.wait()
            work, nbytes = self._waiting.popleft()
            self._bytes -= nbytes
            self._running_since = self._clock()
            return work
