"""Say whether what answers is still what the registry calls Production, as far as anybody here can know.

Stale: the registry was not read for `LIMIT_POLLS` polls, or not since this serving began. Found out by when it was last
read, and not by errors: a registry that hangs, and a syncer that is gone or stopped, look the same. Nobody read it.
"""

import logging
import threading
import time
from collections.abc import Callable

from serving.lineup import Lineup
from serving.store.reads import Reads

log = logging.getLogger(__name__)

LIMIT_POLLS = 5
LEAST_SECONDS = 5
"""A limit below it would tell of every slow answer of the registry."""
LOOK_SECONDS = 0.5


def limit(poll_seconds: float) -> float:
    """How long ago a model may have been read, in seconds, before it counts as stale."""
    return max(LIMIT_POLLS * poll_seconds, LEAST_SECONDS)


class Freshness:
    """One thread a worker, apart from the watcher: that one may be loading a model for a minute."""

    def __init__(
        self,
        lineup: Lineup,
        reads: Reads,
        *,
        begun: float,
        limit_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`begun`: when this serving was started; what was read before that may long be history."""
        self._lineup, self._reads, self._clock = lineup, reads, clock
        self._begun, self._limit_seconds = begun, limit_seconds
        self._told = False
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="freshness", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Note in the lineup when each model was read, and say in the log when that begins to be long ago."""
        now = self._clock()
        read = {name: self._reads.last(name) for name in self._lineup.names}
        late = [name for name, at in read.items() if at is None or now - at > self._limit_seconds]
        for name, at in read.items():
            stale = name in late or at is None or at < self._begun
            self._lineup.note_read(name, None if at is None else round(at * 1000), stale=stale)
        self._tell(late, now, read)

    def _tell(self, late: list[str], now: float, read: dict[str, float | None]) -> None:
        if late and not self._told and now - self._begun > self._limit_seconds:
            oldest = min((at for name in late if (at := read[name]) is not None), default=None)
            ago = None if oldest is None else round(now - oldest, 1)
            log.warning("serving is stale", extra={"models": ",".join(late), "registry_read_seconds_ago": ago})
            self._told = True
        elif self._told and not late:
            log.info("serving is no longer stale", extra={"models": ",".join(read)})
            self._told = False
