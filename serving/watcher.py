"""Bring into a worker what the syncer has posted: load the new version beside the old one, then swap one reference.

One thread a worker. The only writer of the worker's lineup.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from serving import posted
from serving.errors import VersionRefused
from serving.lineup import Lineup, Served, Standing
from serving.posted import Posting, Refusal
from serving.protocol import Model, Version
from serving.trust import Found

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 60


@dataclass(frozen=True)
class Loading:
    """What vouches for a version, how it becomes a model, and up to how many rows that model is called at once."""

    check: Callable[[Path, Version], Found]
    load: Callable[[Path, Callable[[], object]], Model]
    """What it is given beside the folder is that check again, for a process that starts later."""
    inline_rows: Callable[[Model], int]
    drain: Callable[[Model], None] = lambda _: None
    """For a version that was swapped out: what hangs in it must not keep it for ever."""


@dataclass
class Failure:
    """A version that this worker could not load, and when it tries again."""

    version: Version
    reason: str
    times: int
    not_before: float


class Watcher:
    def __init__(self, store: Path, lineup: Lineup, loading: Loading) -> None:
        self._store, self._lineup, self._loading = store, lineup, loading
        self._seen: object = None
        self._postings: dict[str, Posting] = {}
        self._failures: dict[str, Failure] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        # A daemon: a model that hangs while it loads must not keep the process from ending.
        threading.Thread(target=self._watch, name="watcher", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception:
                log.exception("watching stumbled")
            self._stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Do what it takes to serve what is posted now."""
        mark = self._mark()
        if mark != self._seen:
            try:
                self._postings = {each.name: each for each in posted.read(self._store)}
            except ValueError as error:  # said once: only another file can be better
                log.error("lineup not readable", extra={"reason": str(error)})
            self._seen = mark
        for name in self._lineup.names:
            self._follow(self._postings.get(name, Posting(name)))

    def _mark(self) -> object:
        """Differs when the file was replaced."""
        try:
            found = (self._store / posted.FILE).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _follow(self, posting: Posting) -> None:
        standing = self._lineup.standing(posting.name)
        served, wanted = standing.served, posting.version
        if served and wanted and served.version.has_files_of(wanted) and served.version.tags != wanted.tags:
            served = replace(served, version=wanted)
        self._put(standing, _noted(posting, served, self._failures.get(posting.name)))
        if wanted is None or (served is not None and served.version.has_files_of(wanted)):
            self._failures.pop(posting.name, None)
            return
        failure = self._failures.get(posting.name)
        if failure is None or not failure.version.has_files_of(wanted) or time.monotonic() >= failure.not_before:
            self._load(posting, wanted)

    def _load(self, posting: Posting, version: Version) -> None:
        began = time.perf_counter()
        old = self._lineup.standing(posting.name).served
        try:
            folder = self._store / posting.folder
            check = partial(self._loading.check, folder, version)
            trust = check()  # the syncer has done so, but the store is a folder like any other
            model = self._loading.load(folder, check)
            served = Served(version, model, self._loading.inline_rows(model), trust)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything; the old one goes on answering
            self._failed(posting, version, error)
            return
        self._failures.pop(posting.name, None)
        self._put(self._lineup.standing(posting.name), _noted(posting, served, None))
        seconds = round(time.perf_counter() - began, 3)
        extra = {"model": posting.name, "version": version.number, "runtime": model.runtime, "seconds": seconds}
        log.info("model swapped", extra={**extra, "previous": old.version.number if old else None})
        if old is not None:
            self._loading.drain(old.model)

    def _failed(self, posting: Posting, version: Version, error: BaseException) -> None:
        said = str(error) if isinstance(error, VersionRefused) else f"{type(error).__name__}: {error}"
        before = self._failures.get(posting.name)
        times = before.times + 1 if before and before.version == version else 1
        wait = min(2**times, LONGEST_RETRY_SECONDS)
        failure = Failure(version, said.splitlines()[0][:500], times, time.monotonic() + wait)
        self._failures[posting.name] = failure
        standing = self._lineup.standing(posting.name)
        self._put(standing, _noted(posting, standing.served, failure))
        extra = {"model": posting.name, "version": version.number, "reason": failure.reason, "retry_seconds": wait}
        log.error("version refused", extra=extra)

    def _put(self, old: Standing, new: Standing) -> None:
        if new != old or new.served is not old.served:  # versions with other tags are equal
            self._lineup.put(new)


def _noted(posting: Posting, served: Served | None, failure: Failure | None) -> Standing:
    waiting_for, refusal, coming = posting.waiting_for, posting.refusal, False
    if posting.version is not None:
        coming = served is None and failure is None
        waiting_for = f"version {posting.version.number} is being loaded"
        if failure is not None and failure.version == posting.version:
            refusal = Refusal(failure.version.number, failure.reason)
            waiting_for = f"version {refusal.number} was refused: {refusal.reason}"
    noticed = (posting.disagreements, refusal, posting.registry_reachable)
    return Standing(posting.name, served, waiting_for, *noticed, coming)
