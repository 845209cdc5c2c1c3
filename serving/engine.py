"""The one object between every transport and the models.

Picks the version from one snapshot of the lineup, answers at once where that is quicker than a queue, and keeps models
that block off the event loop.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

from serving.batcher import Batcher, Call, Limits
from serving.congestion import Congestion
from serving.decoding.depth import refuse_deep
from serving.errors import DeadlineExpired, NoProbabilities, PredictionFailed, QueueFull, ServingError, too_many_rows
from serving.lineup import Lineup, Served, Standing
from serving.metrics.answers import Counts, VersionCounts
from serving.protocol import JSON, PREDICT, Answer, Model, Rows
from serving.request_log import RequestLog
from serving.settings import KEY_HEADER
from serving.tracing.trace import Mark
from serving.tracing.tracer import Tracer
from serving.trials.sample import Sample
from serving.trials.traffic import on_canary

__all__ = ["Call", "Engine", "Limits"]

T = TypeVar("T")

# More threads than cores only wait for each other; the extra ones cover models that release the GIL or wait for I/O.
THREADS = (os.cpu_count() or 1) + 4


class Engine:
    def __init__(
        self,
        lineup: Lineup,
        limits: Limits | None = None,
        counts: Counts | None = None,
        *,
        key_header: str = KEY_HEADER,
        tracer: Tracer | None = None,
    ) -> None:
        """`key_header`: where callers say who they are, in lower case; gRPC's metadata have it too.

        `tracer`: of every transport; None where nobody wants traces.
        """
        self.lineup = lineup
        self.counts = counts or Counts()
        self.key_header, self.tracer = key_header, tracer
        self.log = RequestLog()
        """Of every transport, too; off unless it is replaced before they begin."""
        self._limits = limits or Limits()
        self._most_rows = self._limits.request_rows
        # A version that nobody serves or asks any more takes its queue with it, and the model.
        self._lanes: WeakKeyDictionary[Served, _Lanes] = WeakKeyDictionary()
        self._closed = False

    def pick(self, standing: Standing, served: Served, key: bytes, call: Call) -> Served:
        """The version that answers this caller: `served`, which is Production, or the candidate beside it.

        While the candidate takes part, `call` is a sample of its trial from here on.
        """
        beside = standing.candidate
        if beside is None or beside.served is None or beside.shadow is None:
            return served
        picked = beside.served if on_canary(beside.trial, key) else served
        copied = beside.trial.mode == "shadow"
        call.sample = Sample(beside.shadow, picked.version.number, served.model, copied=copied)
        return picked

    def at_once(self, served: Served, rows: Rows, call: Call) -> Answer | None:
        """The answer of a model that needs less time than a queue would; None: ask `answer`. Errors as there."""
        if not served.at_once(rows.count):
            return None
        self._check(served, rows, call)
        self.counted(served).called(rows.count, 1)
        if call.sample is None:
            return _now(served.model, rows, call)
        try:
            answer = _now(served.model, rows, call)
        except ServingError as error:
            call.sample.failed(error)
            raise
        call.sample.answered(rows, answer, predict=call.predict)
        return answer

    async def answer(self, served: Served, rows: Rows, call: Call) -> Answer:
        """By exactly `served`, even when another version is swapped in meanwhile.

        NoProbabilities, QueueFull, DeadlineExpired, RowsRefused, PredictionFailed.
        """
        at_once = self.at_once(served, rows, call)
        if at_once is not None:
            return at_once
        self._check(served, rows, call)
        answering = _in_time(self._of(served).batcher.submit(rows, call), call)
        if call.sample is None:
            return await answering
        answer = await call.sample.watch(answering)
        call.sample.answered(rows, answer, predict=call.predict, queue=call.queue)
        return answer

    async def invoke(self, served: Served, media_type: str, body: bytes, call: Call) -> bytes:
        """MLflow's JSON answer to a body that only MLflow's own parser can read; not joined with others.

        InvalidInput, QueueFull and DeadlineExpired, or what the model raises.
        """
        if media_type == JSON:
            refuse_deep(body)
        if call.sample is None:
            return await self._invoked(served, media_type, body, call)
        text = await call.sample.watch(self._invoked(served, media_type, body, call))
        call.sample.answered_body((media_type, body), text, predict=call.predict, queue=call.queue)
        return text

    def refuse_many(self, rows: int) -> None:
        """TooLarge."""
        if rows > self._most_rows:
            raise too_many_rows(self._most_rows)

    def _check(self, served: Served, rows: Rows, call: Call) -> None:
        if rows.count > self._most_rows:
            self.refuse_many(rows.count)
        if rows.method != PREDICT and not served.model.probabilities:
            raise NoProbabilities(served.version.name)
        if call.expired:
            raise DeadlineExpired

    def counted(self, served: Served | None) -> VersionCounts:
        """Where to count what is asked of `served`; None: of no version."""
        return self.counts.nobody if served is None else self.counts.of(served.version.name, served.version.number)

    def waiting(self) -> Mapping[str, int]:
        """How many rows wait for each model, and bodies that MLflow itself is to read."""
        found: Counter[str] = Counter()
        for served, lanes in self._lanes.items():
            found[served.version.name] += lanes.waiting
        return found

    def waiting_limit(self, name: str) -> float:
        """Rows that may wait for the model now, where most do: at one version, or for MLflow's own parser."""
        ways = [way for served, lanes in self._lanes.items() if served.version.name == name for way in lanes.ways()]
        _, most = max(ways, key=lambda way: (way[0], -way[1]), default=(0, self._limits.waiting_rows))
        return most

    def close(self) -> None:
        """Takes no more work; what runs is not waited for, but for traces on their way, a moment."""
        self._closed = True
        for lanes in self._lanes.values():
            lanes.pool.shutdown(wait=False, cancel_futures=True)
        if self.tracer is not None:
            self.tracer.close()

    async def _invoked(self, served: Served, media_type: str, body: bytes, call: Call) -> bytes:
        lanes = self._of(served)
        waiting = max(lanes.invoked - THREADS, 0)
        if lanes.invoked >= self._limits.waiting_rows or (waiting and not lanes.congestion.admits(waiting, 1)):
            raise QueueFull(lanes.invoked)
        ask = partial(served.model.invoke, media_type, body, self._most_rows)
        work = partial(_invoke, ask, call, time.perf_counter())
        answer = await _in_time(lanes.invoke(work), call)
        lanes.congestion.called(1, call.predict, side_by_side=THREADS)
        return answer

    def _of(self, served: Served) -> "_Lanes":
        lanes = self._lanes.get(served)
        if lanes is None:
            lanes = self._lanes[served] = _Lanes(served.model, self._limits, self.counted(served).called)
            if self._closed:
                lanes.pool.shutdown(wait=False)
        return lanes


class _Lanes:
    """One version's threads, so that none takes another's, and what waits for them."""

    def __init__(self, model: Model, limits: Limits, seen: Callable[[int, int], None]) -> None:
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="model")
        limits = limits if model.joins else replace(limits, lanes=THREADS)
        self.batcher = Batcher(model.predict, limits, self.pool, joins=model.joins, seen=seen)
        self._most_invoked = limits.waiting_rows
        self.congestion = Congestion(limits.waiting_seconds)
        """Of bodies that MLflow itself reads."""
        self.invoked = 0
        """Bodies that MLflow itself reads, waiting or being answered."""
        self._free = asyncio.Semaphore(THREADS)

    @property
    def waiting(self) -> int:
        return self.batcher.waiting_rows + self.invoked

    def ways(self) -> Iterator[tuple[int, float]]:
        """How many rows wait, and how many may."""
        yield self.batcher.waiting_rows, self.batcher.most_waiting_rows
        yield self.invoked, min(self._most_invoked, THREADS + max(self.congestion.most_rows(1), 1))

    async def invoke(self, work: Callable[[], bytes]) -> bytes:
        """In a thread, when one is free: who stops waiting takes the body along."""
        self.invoked += 1
        try:
            await self._free.acquire()
            try:
                running = self.pool.submit(work)
            except RuntimeError:  # the pool is closed
                self._free.release()
                raise PredictionFailed from None
            # By the thread's own end: it goes on when nobody waits for it any more.
            running.add_done_callback(partial(self._freed, asyncio.get_running_loop()))
            return await asyncio.wrap_future(running)
        finally:
            self.invoked -= 1

    def _freed(self, loop: asyncio.AbstractEventLoop, _done: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._free.release)


def _now(model: Model, rows: Rows, call: Call) -> Answer:
    began = time.perf_counter()
    try:
        return model.predict(rows)
    except ServingError:
        raise
    except Exception as error:
        raise PredictionFailed from error
    finally:
        ended = time.perf_counter()
        call.predict = ended - began
        if call.trace is not None:
            call.trace.mark(Mark(began, began, ended, rows.count))


async def _in_time(answer: Awaitable[T], call: Call) -> T:
    if call.deadline is None:
        return await answer
    try:
        async with asyncio.timeout(call.deadline - time.monotonic()):
            return await answer
    except TimeoutError:
        raise DeadlineExpired from None


def _invoke(ask: Callable[[], bytes], call: Call, since: float) -> bytes:
    began = time.perf_counter()
    call.queue = began - since
    if call.expired:
        raise DeadlineExpired
    try:
        return ask()
    finally:
        ended = time.perf_counter()
        call.predict = ended - began
        if call.trace is not None:
            call.trace.mark(Mark(since, began, ended, 0))
