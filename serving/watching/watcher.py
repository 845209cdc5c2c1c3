"""Bring into a worker what the syncer has posted: load the new version beside the old one, then swap one reference.

One thread a worker. The only writer of the worker's lineup.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from serving.lineup import Candidate, Lineup, Standing, State
from serving.protocol import Trial
from serving.store import posted
from serving.store.posted import Posting, Refusal
from serving.trials.shadow import Shadow
from serving.trials.tally import Counter
from serving.watching.loading import Loading, Run, Slot, in_turn

__all__ = ["Loading", "Watcher"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1


@dataclass
class Slots:
    """Of one model."""

    production: Slot
    candidate: Slot
    shadow: Shadow | None = None
    """Of the candidate that is running."""
    counter: Counter | None = None
    """Of its trial; stays when it is out."""

    def hush(self) -> None:
        """The candidate hears no more."""
        if self.shadow is not None:
            self.shadow.close()
        self.shadow = None


class Watcher:
    def __init__(self, store: Path, lineup: Lineup, loading: Loading, run: tuple[Run, Run] | None = None) -> None:
        """`run`: how Production is loaded, and how candidates are, which Production never waits for."""
        self._store, self._lineup = store, lineup
        self._seen: object = None
        self._postings: dict[str, Posting] = {}
        runs = run or (in_turn(), in_turn())
        self._slots = {
            name: Slots(Slot(name, "production", loading, runs[0]), Slot(name, "candidate", loading, runs[1]))
            for name in lineup.names
        }
        self._stopping = threading.Event()

    def start(self) -> None:
        # A daemon: what hangs in the store's folder must not keep the process from ending.
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
        """Do what it takes to serve what is posted now; what is being loaded is not waited for."""
        mark = self._mark()
        if mark != self._seen:
            try:
                self._postings = {each.name: each for each in posted.read(self._store)}
            except ValueError as error:  # said once: only another file can be better
                log.error("lineup not readable", extra={"reason": str(error)})
            self._seen = mark
        for name, slots in self._slots.items():
            self._follow(self._postings.get(name, Posting(name)), slots)

    def _mark(self) -> object:
        """Differs when the file was replaced."""
        try:
            found = (self._store / posted.FILE).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _follow(self, posting: Posting, slots: Slots) -> None:
        production, wanted = slots.production, posting.version
        if wanted is not None:
            production.want(wanted, self._store / posting.folder, slots.candidate)
        candidate = self._candidate(posting, slots)
        standing = _noted(posting, production, candidate)
        old = self._lineup.standing(posting.name)
        if standing != old or _others(standing, old):
            self._lineup.put(standing)

    def _candidate(self, posting: Posting, slots: Slots) -> Candidate | None:
        said, slot = posting.candidate, slots.candidate
        # Beside another version only: it may just have become the one that is served.
        if said is None or said.trial.version.has_files_of(posting.version):
            slot.clear(but=posting.version)
            slots.hush()
            slots.counter = None
            return None
        wanted = said.trial.version
        if said.out or not said.folder:
            slot.clear()
        elif slots.production.served is not None:  # which is loaded first
            if slot.served is not None and not slot.served.version.has_files_of(wanted):
                slot.clear()
            slot.want(wanted, self._store / said.folder, slots.production)
        _hear(said.trial, slots)
        state, reason = _state(said, slot)
        return Candidate(said.trial, state, reason, slot.served, slots.shadow, slots.counter)


def _hear(trial: Trial, slots: Slots) -> None:
    """Count from the trial's first moment here on, and go on counting whatever its mode and percent."""
    served, production = slots.candidate.served, slots.production.served
    if slots.counter is not None and not slots.counter.counts(trial):
        slots.hush()
        slots.counter = None
    if served is None or production is None:
        slots.hush()
        return
    if slots.counter is None:
        slots.counter = Counter(trial, production.version.number)
    slots.counter.beside(production.version.number)
    if slots.shadow is None or not slots.shadow.asks(served.model):
        slots.hush()
        slots.shadow = Shadow(served.model, slots.counter)


def _state(said: posted.Candidate, slot: Slot) -> tuple[State, str]:
    if said.out:
        return "out", said.out
    if slot.served is not None:
        return "running", ""
    if said.refusal or slot.failure is not None:
        return "refused", said.refusal or (slot.failure.reason if slot.failure else "")
    return "loading", ""


def _noted(posting: Posting, slot: Slot, candidate: Candidate | None) -> Standing:
    served, failure = slot.served, slot.failure
    waiting_for, refusal, coming = posting.waiting_for, posting.refusal, False
    if posting.version is not None:
        coming = served is None and failure is None
        waiting_for = f"version {posting.version.number} is being loaded"
        if failure is not None and failure.version == posting.version:
            refusal = Refusal(failure.version.number, failure.reason)
            waiting_for = f"version {refusal.number} was refused: {refusal.reason}"
    noticed = (posting.disagreements, refusal, posting.registry_reachable)
    return Standing(posting.name, served, waiting_for, *noticed, coming, candidate)


def _others(one: Standing, other: Standing) -> bool:
    """Versions with other tags are equal."""
    mine, theirs = one.candidate, other.candidate
    return one.served is not other.served or (mine and mine.served) is not (theirs and theirs.served)
