"""Carry what workers have counted to whoever judges or shows it: one small file a worker, in the pod's own folder.

A worker writes its file at most once a second, and only while it has a trial. The file of one that has died stays and
still counts; totals only grow, so nothing is counted twice.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from serving.trials.tally import Tally

log = logging.getLogger(__name__)

WRITE_SECONDS = 1
_PREFIX = "trials-"


class Page(msgspec.Struct, frozen=True):
    """One worker's."""

    pid: int
    ended: bool = False
    """By itself, so that its end says nothing of a candidate."""
    tallies: tuple[Tally, ...] = ()


class Writer:
    """Of one worker."""

    def __init__(self, folder: Path, counted: Callable[[], Iterable[Tally]]) -> None:
        """`counted`: of every trial, up to now."""
        # A process id may be given to another worker later.
        self._file = folder / f"{_PREFIX}{os.getpid()}-{uuid4().hex[:8]}.json"
        self._counted = counted
        self._written = b""
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._keep, name="ledger", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._guarded(ended=True)

    def write(self, *, ended: bool = False) -> None:
        """What was counted up to now, where it differs from what was written. OSError."""
        tallies = tuple(self._counted())
        if not tallies and not self._written:
            return
        text = msgspec.json.encode(Page(os.getpid(), ended, tallies))
        if text != self._written:
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(text)
            fresh.replace(self._file)
            self._written = text

    def _keep(self) -> None:
        while not self._stopping.wait(WRITE_SECONDS):
            self._guarded()

    def _guarded(self, *, ended: bool = False) -> None:
        try:
            self.write(ended=ended)
        except Exception as error:  # noqa: BLE001 - a full disk must not end the counting
            log.error("trial not written", extra={"reason": f"{type(error).__name__}: {error}"})


@dataclass(frozen=True)
class Entry:
    """A worker's page, and what became of the worker."""

    file: Path
    page: Page
    age_seconds: float
    """Of what is written."""

    @property
    def lives(self) -> bool:
        try:
            os.kill(self.page.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    @property
    def died(self) -> bool:
        return not self.page.ended and not self.lives


def entries(folder: Path) -> list[Entry]:
    """Of all workers, dead ones too. What cannot be read is left out."""
    return list(_entries(folder))


def tallies(folder: Path) -> list[Tally]:
    return [tally for entry in _entries(folder) for tally in entry.page.tallies]


def _entries(folder: Path) -> Iterator[Entry]:
    for file in sorted(folder.glob(f"{_PREFIX}*.json")):
        with suppress(OSError, msgspec.MsgspecError):  # removed meanwhile, or of another release
            page = msgspec.json.decode(file.read_bytes(), type=Page)
            yield Entry(file, page, time.time() - file.stat().st_mtime)
