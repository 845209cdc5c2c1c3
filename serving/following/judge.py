"""Take a candidate out of traffic when what the workers have counted breaks the limits. One thread in the syncer.

It needs no registry: a candidate that fails is out although MLflow is down.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from serving.protocol import Trial
from serving.store.posted import Board, Candidate, Posting
from serving.trials import ledger, verdict
from serving.trials.ledger import Entry
from serving.trials.tally import Tally, total
from serving.trials.verdict import Limits

log = logging.getLogger(__name__)

LOOK_SECONDS = 1
WINDOW_SECONDS = 60
"""What was long ago must not hide what goes wrong now; what goes wrong rarely shows in the whole trial."""


class Judge:
    def __init__(self, board: Board, folder: Path, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """`folder`: where the workers write what they count."""
        self._board, self._folder, self._limits, self._clock = board, folder, limits, clock
        self._seen: dict[str, _Seen] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="judge", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                log.exception("judging stumbled")

    def look(self) -> None:
        """Once."""
        found = ledger.entries(self._folder)
        for name in self._board.names:
            posting = self._board.posting(name)
            candidate = posting.candidate
            if candidate is None or candidate.out or posting.version is None:
                self._seen.pop(name, None)
            else:
                self._judge(candidate.trial, posting.version.number, found)
        self._tidy(found)

    def _judge(self, trial: Trial, production: int, found: list[Entry]) -> None:
        name, number = trial.version.name, trial.version.number
        parts = [tally for entry in found for tally in entry.page.tallies]
        now = total(Tally(name, number, trial.since_ms, production), parts)
        seen = self._seen.get(name)
        if seen is None or not seen.trial.same_as(trial):
            seen = self._seen[name] = _Seen(trial)
        spans = seen.window(now, self._clock()), now
        reason = verdict.broken(spans, _deaths(found, now), self._limits)
        if reason:
            self._board.change(name, lambda posting: _out(posting, trial, reason))
            posted = self._board.posting(name).candidate
            if posted is not None and posted.out:
                log.warning("candidate taken out", extra={"model": name, "version": number, "reason": reason})

    def _tidy(self, found: list[Entry]) -> None:
        """Pages of workers that have ended, about trials that have too."""
        candidates = [self._board.posting(name).candidate for name in self._board.names]
        current = [candidate.trial for candidate in candidates if candidate is not None]
        for entry in found:
            told = any(_tells(tally, trial) for tally in entry.page.tallies for trial in current)
            if not told and not entry.lives:
                with suppress(OSError):
                    entry.file.unlink()


class _Seen:
    """What a trial had counted at each look of the last minute."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._looks: deque[tuple[float, Tally]] = deque()

    def window(self, now: Tally, at: float) -> Tally:
        self._looks.append((at, now))
        while len(self._looks) > 1 and self._looks[1][0] <= at - WINDOW_SECONDS:
            self._looks.popleft()
        return now.since(self._looks[0][1])


def _out(posting: Posting, trial: Trial, reason: str) -> Posting:
    candidate: Candidate | None = posting.candidate
    if candidate is None or not candidate.trial.same_as(trial):
        return posting
    return replace(posting, candidate=replace(candidate, out=reason))


def _tells(tally: Tally, trial: Trial) -> bool:
    return tally.of_same_trial(trial.version.name, trial.version.number, trial.since_ms)


def _deaths(found: list[Entry], now: Tally) -> int:
    return sum(
        entry.died and entry.age_seconds < verdict.DEATHS_SECONDS
        for entry in found
        if any(each.of_same_trial(now.model, now.version, now.since_ms) for each in entry.page.tallies)
    )
