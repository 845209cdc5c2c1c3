"""What somebody must do for all jobs, now and then: say that this worker lives, and tidy up. Every worker does it."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from serving.errors import JobsUnreachable
from serving.jobs.shelf import Shelf
from serving.jobs.turns import Turns

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
SILENT_SECONDS = 30.0
"""A worker that was not heard of for so long is taken for gone, and others work at what it had."""
TIDY_SECONDS = 5.0


class Caretaker:
    def __init__(self, worker: str, turns: Turns, shelf: Shelf, alive: Path) -> None:
        """`alive`: the file that says so."""
        self._worker, self._turns, self._shelf, self._alive = worker, turns, shelf, alive
        self._stopping = threading.Event()
        self._unreached = False

    def start(self) -> None:
        for work, seconds in ((self._beat, BEAT_SECONDS), (self.tidy, TIDY_SECONDS)):
            threading.Thread(target=self._every, args=[work, seconds], name=work.__name__, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def tidy(self) -> None:
        adopted, expired = self._turns.adopt(SILENT_SECONDS), self._turns.expire()
        gone = self._turns.forget()
        if gone.tries:
            self._turns.forget_tries(gone.tries)
            self._shelf.delete(gone.uris)
        for what, count in (("adopted", adopted), ("expired", expired)):
            if count:
                log.warning(f"jobs {what}", extra={"jobs": count})

    def _beat(self) -> None:
        self._turns.beat(self._worker)
        self._alive.touch()

    def _every(self, work: Callable[[], None], seconds: float) -> None:
        while True:
            try:
                work()
                self._unreached = False
            except JobsUnreachable as error:
                if not self._unreached:  # once, not every second
                    log.error("jobs cannot be reached", extra={"reason": str(error)})
                self._unreached = True
            except Exception:
                log.exception("tidying stumbled")
            if self._stopping.wait(seconds):
                return
