"""The one object between every transport and the models.

Picks the version from one snapshot of the lineup, answers at once where that is quicker than a queue, and keeps models
that block off the event loop.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from serving.batcher import Batcher, Call, Limits
from serving.errors import DeadlineExpired, NoProbabilities, PredictionFailed, ServingError
from serving.lineup import Lineup, Served
from serving.protocol import PREDICT, Answer, Model, Rows

__all__ = ["Call", "Engine", "Limits"]

T = TypeVar("T")

# More threads than cores only wait for each other; the extra ones cover models that release the GIL or wait for I/O.
THREADS = (os.cpu_count() or 1) + 4


class Engine:
    def __init__(self, lineup: Lineup, limits: Limits | None = None) -> None:
        self.lineup = lineup
        self._limits = limits or Limits()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="model")
        self._batchers: dict[str, dict[int, Batcher]] = {}

    def at_once(self, served: Served, rows: Rows, call: Call) -> Answer | None:
        """The answer of a model that needs less time than a queue would; None: ask `answer`. Errors as there."""
        if rows.count > served.inline_rows:
            return None
        _check(served, rows, call)
        began = time.perf_counter()
        try:
            return served.model.predict(rows)
        except ServingError:
            raise
        except Exception as error:
            raise PredictionFailed from error
        finally:
            call.predict = time.perf_counter() - began

    async def answer(self, served: Served, rows: Rows, call: Call) -> Answer:
        """By exactly `served`, even when another version is swapped in meanwhile.

        NoProbabilities, QueueFull, DeadlineExpired, RowsRefused, PredictionFailed.
        """
        at_once = self.at_once(served, rows, call)
        if at_once is not None:
            return at_once
        _check(served, rows, call)
        return await _in_time(self._batcher(served).submit(rows, call), call)

    async def invoke(self, served: Served, media_type: str, body: bytes, call: Call) -> bytes:
        """MLflow's JSON answer to a body that only MLflow's own parser can read; not joined with others."""
        since = time.perf_counter()
        work = partial(_invoke, served.model, media_type, body, call, since)
        return await _in_time(asyncio.get_running_loop().run_in_executor(self._pool, work), call)

    def close(self) -> None:
        """Takes no more work; what runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _batcher(self, served: Served) -> Batcher:
        held = self._batchers.setdefault(served.version.name, {})
        batcher = held.get(id(served.model))
        if batcher is None:
            model = served.model
            limits = self._limits if model.joins else replace(self._limits, lanes=THREADS)
            batcher = Batcher(model.predict, limits, self._pool, joins=model.joins)
            # The one before may still have requests; older ones have not, and their models must be let go.
            self._batchers[served.version.name] = {**dict(list(held.items())[-1:]), id(model): batcher}
        return batcher


def _check(served: Served, rows: Rows, call: Call) -> None:
    if rows.method != PREDICT and not served.model.probabilities:
        raise NoProbabilities(served.version.name)
    if call.expired:
        raise DeadlineExpired


async def _in_time(answer: Awaitable[T], call: Call) -> T:
    if call.deadline is None:
        return await answer
    try:
        async with asyncio.timeout(call.deadline - time.monotonic()):
            return await answer
    except TimeoutError:
        raise DeadlineExpired from None


def _invoke(model: Model, media_type: str, body: bytes, call: Call, since: float) -> bytes:
    began = time.perf_counter()
    call.queue = began - since
    if call.expired:
        raise DeadlineExpired
    try:
        return model.invoke(media_type, body)
    finally:
        call.predict = time.perf_counter() - began
