"""Say what a worker is doing at the moment, and what all processes have counted, when somebody asks."""

import asyncio
import logging
import os
import threading
from asyncio import to_thread
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from serving.engine import Engine
from serving.lineup import Candidate, Served, Standing
from serving.metrics import exposition, merged, now
from serving.metrics.declared import (
    ANSWERING,
    CANDIDATE,
    COMPARED,
    LINEUP,
    QUEUE,
    QUEUE_LIMIT,
    STALE,
    TRIED,
    TRIED_ERRORS,
    TRIED_P99,
)
from serving.metrics.following import Following
from serving.metrics.gpus import Gpus
from serving.metrics.now import Gauge, Now

log = logging.getLogger(__name__)

TELL_SECONDS = 1
"""How old what a worker says of itself may be where another one is asked."""


class Reporter:
    def __init__(
        self,
        engine: Engine,
        following: Following | None = None,
        trials: Path | None = None,
        jobs: Callable[[], Sequence[Gauge]] = tuple,
    ) -> None:
        """Where the engine's counts have no folder, it speaks for this process alone.

        `trials`: where all workers write what they count of candidates. `jobs`: what there is to say of jobs; it may
        block.
        """
        self.trials = trials
        self._jobs, self._gpus = jobs, Gpus()
        self._engine, self._following = engine, following or Following()
        self._folder = engine.counts.folder
        self._telling = threading.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await to_thread(self._tell, self._now())
            except Exception:
                log.exception("telling stumbled")
            await asyncio.sleep(TELL_SECONDS)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Of all processes, in the format that the header `accept` asks for; and the content type."""
        said = self._now()  # in the loop, where nothing changes meanwhile; reading and adding up are for a thread
        return await to_thread(self._text, said, accept)

    def _text(self, said: Now, accept: str) -> tuple[bytes, str]:
        if self._folder is None:
            found = [*self._engine.counts.blocks(), *self._following.blocks()]
            return exposition.text(merged.of_one(found, [*said.gauges, *self._shared()]), accept)
        self._tell(said)
        return exposition.text(merged.of_all(self._folder.parent, self._shared()), accept)

    def _shared(self) -> list[Gauge]:
        """What is no process's own."""
        return [*self._jobs(), *self._gpus.gauges()]

    def _tell(self, said: Now) -> None:
        with self._telling:  # in several threads, when several ask
            now.tell(self._folder, said)

    def _now(self) -> Now:
        for standing in self._engine.lineup:
            for _, served in in_slots(standing):
                self._engine.counted(served).seen()
        return Now(os.getpid(), tuple(self._gauges()))

    def _gauges(self) -> Iterator[Gauge]:
        waiting = self._engine.waiting()
        for standing in self._engine.lineup:
            name = standing.name
            yield ANSWERING.name, (name,), float(standing.served is not None)
            yield STALE.name, (name,), float(not standing.reaches_registry)
            yield QUEUE.name, (name,), waiting.get(name, 0)
            yield QUEUE_LIMIT.name, (name,), self._engine.waiting_limit(name)
            for slot, served in in_slots(standing):
                yield LINEUP.name, (name, slot, str(served.version.number)), 1
            if standing.candidate is not None:
                yield from _tried(name, standing.candidate)


def in_slots(standing: Standing) -> Iterator[tuple[str, Served]]:
    """The slots that are filled, and with what."""
    if standing.served is not None:
        yield "production", standing.served
    if standing.candidate is not None and standing.candidate.served is not None:
        yield "candidate", standing.candidate.served


def _tried(name: str, candidate: Candidate) -> Iterator[Gauge]:
    labels = name, str(candidate.trial.version.number)
    yield CANDIDATE.name, (*labels, candidate.state), 1
    tally = candidate.tally()
    if tally is None:
        return
    for of, counts in (("candidate", tally.candidate), ("production", tally.beside)):
        yield TRIED.name, (*labels, of), counts.requests
        yield TRIED_ERRORS.name, (*labels, of), counts.errors
        if (seconds := counts.p99_seconds) is not None:
            yield TRIED_P99.name, (*labels, of), seconds
    agreed = tally.compared - tally.disagreed
    for outcome, count in (("agreed", agreed), ("disagreed", tally.disagreed), ("dropped", tally.dropped)):
        yield COMPARED.name, (*labels, outcome), count
