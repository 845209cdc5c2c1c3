"""Load versions for one slot of one model, aside: what answers goes on answering, and what fails is tried again later.

Part of a worker's `Watcher`.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from serving.errors import VersionRefused
from serving.lineup import Served
from serving.metrics.following import Following
from serving.protocol import Model, Version
from serving.trust import Found

log = logging.getLogger(__name__)

LONGEST_RETRY_SECONDS = 60

Run = Callable[[Callable[[], None]], None]


def in_turn() -> Run:
    """Away from here, one after the other."""
    turn = threading.Lock()

    def run(work: Callable[[], None]) -> None:
        def alone() -> None:
            with turn:
                work()

        # A daemon: a model that hangs while it loads must not keep the process from ending.
        threading.Thread(target=alone, name="loading", daemon=True).start()

    return run


@dataclass(frozen=True)
class Loading:
    """What vouches for a version, how it becomes a model, and up to how many rows that model is called at once."""

    check: Callable[[Path, Version], Found]
    load: Callable[[Path, Callable[[], object]], Model]
    """What it is given beside the folder is that check again, for a process that starts later."""
    inline_rows: Callable[[Model], int]
    drain: Callable[[Model], None] = lambda _: None
    """For a version that was swapped out: what hangs in it must not keep it for ever."""
    counts: Following = field(default_factory=Following)


@dataclass
class Failure:
    """A version that this worker could not load, and when it tries again."""

    version: Version
    reason: str
    times: int
    not_before: float


class Slot:
    """`served` is what the slot has; `failure` why it does not have what is wanted."""

    def __init__(self, name: str, what: str, loading: Loading, run: Run) -> None:
        """`what`: the slot's name, production or candidate."""
        self.served: Served | None = None
        self.failure: Failure | None = None
        self._name, self._what, self._loading, self._run = name, what, loading, run
        self._under_way: Version | None = None
        self._done: tuple[Version, Served | str, float] | None = None
        """What was loaded or why not, and the seconds that it took."""

    def want(self, wanted: Version, folder: Path, beside: "Slot") -> None:
        """Take what was loaded meanwhile, or what the slot `beside` has; begin to load `wanted` if neither is it."""
        self._take(wanted)
        if self.served is not None and self.served.version.has_files_of(wanted):
            self._tag(wanted)
        elif (found := beside._loaded(wanted)) is not None:
            self._put(replace(found, version=wanted), seconds=0)
        elif self._under_way is None and not beside._loads(wanted) and not self._too_early(wanted):
            self._under_way = wanted
            self._run(partial(self._load, wanted, folder))
            self._take(wanted)  # it may be there already

    def clear(self, but: Version | None = None) -> None:
        """Nothing is wanted here; `but`, which is just being loaded perhaps, is by the other slot."""
        old, self.served, self.failure = self.served, None, None
        if old is not None and not old.version.has_files_of(but):
            self._loading.drain(old.model)
        if self._done is not None and not self._done[0].has_files_of(but):
            self._done = self._under_way = None

    def _tag(self, wanted: Version) -> None:
        self.failure = None
        if self.served is not None and self.served.version.tags != wanted.tags:
            self.served = replace(self.served, version=wanted)

    def _loaded(self, version: Version) -> Served | None:
        """Its model, where this slot has it."""
        done = self._done[1] if self._done is not None else None
        here = [each for each in (self.served, done) if isinstance(each, Served)]
        return next((each for each in here if each.version.has_files_of(version)), None)

    def _loads(self, version: Version) -> bool:
        return self._under_way is not None and self._under_way.has_files_of(version)

    def _too_early(self, wanted: Version) -> bool:
        failure = self.failure
        return failure is not None and failure.version.has_files_of(wanted) and time.monotonic() < failure.not_before

    def _load(self, version: Version, folder: Path) -> None:
        began = time.perf_counter()
        found: Served | str
        try:
            check = partial(self._loading.check, folder, version)
            trust = check()  # the syncer has done so, but the store is a folder like any other
            model = self._loading.load(folder, check)
            found = Served(version, model, self._loading.inline_rows(model), trust)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything; the old one goes on answering
            said = str(error) if isinstance(error, VersionRefused) else f"{type(error).__name__}: {error}"
            found = said.splitlines()[0][:500]
        self._done = version, found, time.perf_counter() - began

    def _take(self, wanted: Version) -> None:
        if self._done is None:
            return
        version, found, seconds = self._done
        self._done = self._under_way = None
        if not version.has_files_of(wanted):  # another one is wanted by now
            return
        if isinstance(found, Served):
            self._put(found, seconds=seconds)
        else:
            self._fail(version, found)

    def _put(self, found: Served, *, seconds: float) -> None:
        old, self.served, self.failure = self.served, found, None
        extra = {"model": self._name, "version": found.version.number, "runtime": found.model.runtime}
        previous = old.version.number if old else None
        self._loading.counts.swapped(self._name, self._what, seconds=seconds)
        event = "candidate swapped" if self._what == "candidate" else "model swapped"
        log.info(event, extra={**extra, "seconds": round(seconds, 3), "previous": previous})
        if old is not None:
            self._loading.drain(old.model)

    def _fail(self, version: Version, reason: str) -> None:
        before = self.failure
        times = before.times + 1 if before and before.version == version else 1
        wait = min(2**times, LONGEST_RETRY_SECONDS)
        self.failure = Failure(version, reason, times, time.monotonic() + wait)
        extra = {"model": self._name, "version": version.number, "reason": reason, "retry_seconds": wait}
        log.error("version refused", extra=extra)
        self._loading.counts.refused(self._name, "worker")
