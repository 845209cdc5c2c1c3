"""Count a trial: requests, errors, latencies and disagreements of a candidate and of Production beside it.

Plain numbers that only grow, so that workers' can be added and moments subtracted. `ledger.py` carries them between
processes, `verdict.py` judges them.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable

import msgspec

from serving.protocol import Trial

_FINEST_SECONDS = 1e-5
_GROWTH = math.log(1.1)
_BUCKETS = 170
"""Each a tenth wider than the one before: 10 µs to 100 s."""

OVERDUE_SECONDS = 5
"""Whoever waits longer is counted before there is an answer: there may never be one."""
_SHOWN_SECONDS = 1
"""Of those who still wait, the ones whose time so far is counted as a latency."""


class Counts(msgspec.Struct, frozen=True):
    requests: int = 0
    errors: int = 0
    overdue: int = 0
    """Of `requests`, those that wait for over OVERDUE_SECONDS now."""
    latencies: dict[int, int] = {}
    """How many requests there are in a bucket of seconds."""

    def __add__(self, other: "Counts") -> "Counts":
        latencies = dict(self.latencies)
        for at, count in other.latencies.items():
            latencies[at] = latencies.get(at, 0) + count
        requests, errors = self.requests + other.requests, self.errors + other.errors
        return Counts(requests, errors, self.overdue + other.overdue, latencies)

    def since(self, before: "Counts") -> "Counts":
        """What came after `before`."""
        # Never negative: who waited then is in another bucket now.
        latencies = {at: max(count - before.latencies.get(at, 0), 0) for at, count in self.latencies.items()}
        requests, errors = self.requests - before.requests, self.errors - before.errors
        return Counts(max(requests, 0), max(errors, 0), self.overdue, latencies)

    @property
    def p99_seconds(self) -> float | None:
        """To a twentieth; None where nothing was measured."""
        total = sum(self.latencies.values())
        left = total - math.ceil(0.99 * total)
        for at in sorted(self.latencies, reverse=True):
            left -= self.latencies[at]
            if left < 0:
                return _FINEST_SECONDS * math.exp(_GROWTH * (at + 0.5))
        return None

    def slower_than(self, seconds: float) -> int:
        """How many requests took longer."""
        limit = _bucket(seconds)
        return sum(count for at, count in self.latencies.items() if at > limit)


class Tally(msgspec.Struct, frozen=True):
    """One trial up to a moment, in one worker or in all of them."""

    model: str
    version: int
    since_ms: int
    production: int
    """The version that is Production now; `beside` counts only that one."""
    candidate: Counts = Counts()
    beside: Counts = Counts()
    compared: int = 0
    disagreed: int = 0
    dropped: int = 0
    """Copies that the candidate was not asked, because the worker had more to do or the two cannot be asked alike."""

    def of_same_trial(self, model: str, version: int, since_ms: int) -> bool:
        return (self.model, self.version, self.since_ms) == (model, version, since_ms)

    def since(self, before: "Tally") -> "Tally":
        same = self.production == before.production
        return Tally(
            self.model,
            self.version,
            self.since_ms,
            self.production,
            self.candidate.since(before.candidate),
            self.beside.since(before.beside) if same else self.beside,
            self.compared - before.compared,
            self.disagreed - before.disagreed,
            self.dropped - before.dropped,
        )


def total(empty: Tally, parts: Iterable[Tally]) -> Tally:
    """All `parts` of the trial that `empty` names, beside its Production version."""
    found = empty
    for part in parts:
        if part.of_same_trial(empty.model, empty.version, empty.since_ms):
            found = Tally(
                empty.model,
                empty.version,
                empty.since_ms,
                empty.production,
                found.candidate + part.candidate,
                found.beside + part.beside if part.production == empty.production else found.beside,
                found.compared + part.compared,
                found.disagreed + part.disagreed,
                found.dropped + part.dropped,
            )
    return found


class Counter:
    """Counts one trial in one worker. Several threads may count; a version that is in neither slot is ignored."""

    def __init__(self, trial: Trial, production: int, clock: Callable[[], float] = time.perf_counter) -> None:
        """`production`: the version that it is beside."""
        self.version = trial.version.number
        self._trial, self._production, self._clock = trial, production, clock
        self._lock = threading.Lock()
        self._slots = {self.version: _Slot(), production: _Slot()}
        self._compared = self._disagreed = self._dropped = 0

    def counts(self, trial: Trial) -> bool:
        """Is it that trial, whatever its mode and percent?"""
        return self._trial.same_as(trial)

    def beside(self, production: int) -> None:
        """From now on that version is Production: what the one before did says nothing of it."""
        with self._lock:
            if production != self._production:
                self._production = production
                self._slots = {self.version: self._slots[self.version], production: _Slot()}

    def begins(self, version: int) -> float:
        """A request waits for `version`; give what this returns to `ends`."""
        with self._lock:
            now = self._clock()
            slot = self._slots.get(version)
            while slot is not None and now in slot.waiting:
                now = math.nextafter(now, math.inf)
            if slot is not None:
                slot.waiting.add(now)
            return now

    def ends(self, version: int, began: float) -> float:
        """It waits no more; the seconds that it has waited."""
        with self._lock:
            slot = self._slots.get(version)
            if slot is not None:
                slot.waiting.discard(began)
            return self._clock() - began

    def answered(self, version: int, seconds: float) -> None:
        with self._lock:
            slot = self._slots.get(version)
            if slot is not None:
                slot.requests += 1
                at = _bucket(seconds)
                slot.latencies[at] = slot.latencies.get(at, 0) + 1

    def failed(self, version: int) -> None:
        with self._lock:
            slot = self._slots.get(version)
            if slot is not None:
                slot.requests += 1
                slot.errors += 1

    def compared(self, *, agreed: bool) -> None:
        with self._lock:
            self._compared += 1
            self._disagreed += not agreed

    def dropped(self) -> None:
        with self._lock:
            self._dropped += 1

    def tally(self, late_copies: int = 0) -> Tally:
        """Up to now. `late_copies`: those that wait for the candidate, which has not answered for OVERDUE_SECONDS."""
        with self._lock:
            now = self._clock()
            candidate, beside = (self._slots[each].counts(now) for each in (self.version, self._production))
            candidate = msgspec.structs.replace(candidate, overdue=candidate.overdue + late_copies)
            counted = self._compared, self._disagreed, self._dropped
            trial, name = self._trial, self._trial.version.name
            return Tally(name, self.version, trial.since_ms, self._production, candidate, beside, *counted)


class _Slot:
    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.latencies: dict[int, int] = {}
        self.waiting: set[float] = set()

    def counts(self, now: float) -> Counts:
        waited = [now - began for began in self.waiting]
        shown = [_bucket(each) for each in waited if each > _SHOWN_SECONDS]
        latencies = dict(self.latencies)
        for at in shown:
            latencies[at] = latencies.get(at, 0) + 1
        overdue = sum(each > OVERDUE_SECONDS for each in waited)
        return Counts(self.requests + len(shown), self.errors, overdue, latencies)


def _bucket(seconds: float) -> int:
    if seconds <= _FINEST_SECONDS:
        return 0
    return min(int(math.log(seconds / _FINEST_SECONDS) / _GROWTH), _BUCKETS - 1)
