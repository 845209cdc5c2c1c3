"""Join rows that already wait while the model is busy; an idle model is never kept waiting for company.

One `Batcher` a version, in one event loop; the model runs in threads of `pool`. Answers and refusals are each caller's
own: when a joined call fails, every request is tried by itself.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from serving.congestion import Congestion
from serving.errors import DeadlineExpired, PredictionFailed, QueueFull, ServingError
from serving.protocol import Answer, Rows
from serving.settings import MOST_ROWS
from serving.tracing.trace import Trace, mark_batch
from serving.trials.sample import Sample

Outcome = Answer | ServingError


def _unseen(_rows: int, _requests: int) -> None:
    """Nobody counts."""


@dataclass(frozen=True)
class Limits:
    """Of one batch, and of what may wait for one. A request that is larger by itself goes alone."""

    rows: int = 256
    bytes: int = 4 << 20
    waiting_rows: int = 10_000
    waiting_bytes: int = 256 << 20
    waiting_seconds: float = 0.5
    lanes: int = 1
    """Calls of the model at a time."""
    request_rows: int = MOST_ROWS
    """Of one request."""


@dataclass(slots=True)
class Call:
    """One request's clock: when it must be answered (`time.monotonic`), and the seconds that each part took."""

    deadline: float | None = None
    decode: float = 0.0
    queue: float = 0.0
    predict: float = 0.0
    encode: float = 0.0
    sample: Sample | None = None
    """Its part in a trial, while there is one."""
    trace: Trace | None = None
    """Where its calls of the model are noted, when somebody wants to see them."""
    about: Callable[[], dict[str, object]] = dict
    """Whose it is, for a line of the log, where such lines may be about a part of it."""

    @property
    def expired(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass(slots=True, eq=False)
class Ticket:
    rows: Rows
    call: Call
    future: "asyncio.Future[Answer]"
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    def __init__(
        self,
        predict: Callable[[Rows], Answer],
        limits: Limits,
        pool: Executor,
        *,
        joins: bool,
        seen: Callable[[int, int], None] = _unseen,
    ) -> None:
        """`joins`: may rows of different requests be predicted together? `predict` blocks.

        `seen` is told how many rows and requests each batch has, in the loop.
        """
        self._predict, self._limits, self._pool, self._joins, self._seen = predict, limits, pool, joins, seen
        self._waiting: deque[Ticket] = deque()
        self._waiting_rows = self._waiting_bytes = 0
        self._busy = 0
        self._congestion = Congestion(limits.waiting_seconds)

    @property
    def waiting_rows(self) -> int:
        return self._waiting_rows

    @property
    def most_waiting_rows(self) -> float:
        """That may wait now: by their number, their time, or their bytes as far as those who wait tell."""
        by_bytes = math.inf
        if self._waiting_bytes:
            by_bytes = self._waiting_rows * self._limits.waiting_bytes / self._waiting_bytes
        return max(min(self._limits.waiting_rows, self._congestion.most_rows(self._call_rows()), by_bytes), 1)

    async def submit(self, rows: Rows, call: Call) -> Answer:
        """QueueFull at once; DeadlineExpired, or what the model raises. Cancelling takes the rows out of the queue."""
        if self._waiting and self._is_full(rows):
            raise QueueFull(self._waiting_rows)
        ticket = Ticket(rows, call, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        self._waiting_rows += rows.count
        self._waiting_bytes += _nbytes(rows)
        if self._busy < self._limits.lanes:
            self._start()
        try:
            return await ticket.future
        except asyncio.CancelledError:
            self._leave(ticket)
            raise
        finally:
            # An error's traceback holds this frame, and the ticket's future the error: a circle that keeps the model.
            del ticket

    def _is_full(self, rows: Rows) -> bool:
        if self._waiting_rows + rows.count > self._limits.waiting_rows:
            return True
        if self._waiting_bytes + _nbytes(rows) > self._limits.waiting_bytes:
            return True
        if self._congestion.admits(self._waiting_rows, self._call_rows()):
            return False
        # Those who came last, in what was no burst after all, are refused now and not answered late.
        while len(self._waiting) > 1 and self._congestion.is_too_long(self._waiting_rows, self._call_rows()):
            ticket = self._waiting.pop()
            self._gone(ticket)
            _tell([ticket], [QueueFull(self._waiting_rows)])
        return True

    def _call_rows(self) -> float:
        """How many rows of those that wait will share a call."""
        alone = self._waiting_rows / max(len(self._waiting), 1)
        return max(alone, min(self._waiting_rows, self._limits.rows)) if self._joins else alone

    def _leave(self, ticket: Ticket) -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self._gone(ticket)

    def _gone(self, ticket: Ticket) -> None:
        """From those who wait."""
        self._waiting_rows -= ticket.rows.count
        self._waiting_bytes -= _nbytes(ticket.rows)

    def _start(self) -> None:
        while batch := self._take():
            try:
                running = asyncio.get_running_loop().run_in_executor(self._pool, self._answer, batch)
            except RuntimeError:  # the pool is closed
                _tell(batch, [PredictionFailed()] * len(batch))
                continue
            self._busy += 1
            self._seen(sum(ticket.rows.count for ticket in batch), len(batch))
            running.add_done_callback(partial(self._settle, batch))
            return

    def _take(self) -> list[Ticket]:
        """The oldest ticket and those behind it that can share its call; who hung up or is too late is dropped."""
        batch: list[Ticket] = []
        others: list[Ticket] = []
        rows = size = 0
        most_rows = self._congestion.joined(self._limits.rows)
        while self._waiting:
            ticket = self._waiting.popleft()
            if not _wanted(ticket):
                self._gone(ticket)
                continue
            count, nbytes = ticket.rows.count, _nbytes(ticket.rows)
            if batch and (rows + count > most_rows or size + nbytes > self._limits.bytes):
                others.append(ticket)
                break
            if batch and not (self._joins and _alike(batch[0].rows, ticket.rows)):
                others.append(ticket)
                if not self._joins:
                    break
                continue
            batch.append(ticket)
            rows, size = rows + count, size + nbytes
            self._gone(ticket)
        self._waiting.extendleft(reversed(others))
        return batch

    def _answer(self, batch: list[Ticket]) -> list[Outcome]:
        """In a thread."""
        began = time.perf_counter()
        for ticket in batch:
            ticket.call.queue = began - ticket.since
        outcomes = self._together(batch) or [_outcome(self._predict, ticket.rows) for ticket in batch]
        ended = time.perf_counter()
        traced = False
        for ticket in batch:
            ticket.call.predict = ended - began
            traced = traced or ticket.call.trace is not None
        if traced:
            mark_batch([(each.call.trace, each.since, each.rows.count) for each in batch], began, ended)
        return outcomes

    def _learn(self, batch: list[Ticket]) -> None:
        rows = sum(ticket.rows.count for ticket in batch)
        self._congestion.called(rows, batch[0].call.predict, side_by_side=self._limits.lanes)

    def _together(self, batch: list[Ticket]) -> list[Outcome] | None:
        """None when one call cannot answer them all: then it is not known whose fault it is."""
        if len(batch) == 1:
            return None
        joined = _outcome(self._predict, join([ticket.rows for ticket in batch]))
        return None if isinstance(joined, ServingError) else split(joined, [ticket.rows.count for ticket in batch])

    def _settle(self, batch: list[Ticket], done: "asyncio.Future[list[Outcome]]") -> None:
        self._busy -= 1
        self._learn(batch)
        failure = None if done.cancelled() else done.exception()
        outcomes = [PredictionFailed()] * len(batch) if failure or done.cancelled() else done.result()
        _tell(batch, outcomes)
        self._start()


def join(parts: list[Rows]) -> Rows:
    """All rows in one, in order. The parts ask the same of the model."""
    first = parts[0]
    blocks = tuple(np.concatenate(arrays) for arrays in zip(*(part.blocks for part in parts), strict=True))
    return Rows(blocks, sum(part.count for part in parts), first.method, first.params, first.names)


def split(answer: Answer, counts: list[int]) -> "list[Outcome] | None":
    """The answer to each part; None when it has not one entry a row."""
    total = sum(counts)
    if any(output.ndim == 0 or len(output) != total for output in answer.outputs):
        return None
    ends = np.cumsum(counts)
    return [
        Answer(tuple(output[end - count : end] for output in answer.outputs), answer.names)
        for end, count in zip(ends.tolist(), counts, strict=True)
    ]


def _wanted(ticket: Ticket) -> bool:
    if not ticket.future.done() and ticket.call.expired:
        ticket.future.set_exception(DeadlineExpired())
    return not ticket.future.done()


def _tell(batch: list[Ticket], outcomes: Sequence[Outcome]) -> None:
    for ticket, outcome in zip(batch, outcomes, strict=True):
        if ticket.future.done():  # the caller may have hung up meanwhile
            continue
        if isinstance(outcome, ServingError):
            ticket.future.set_exception(outcome)
        else:
            ticket.future.set_result(outcome)


def _outcome(predict: Callable[[Rows], Answer], rows: Rows) -> Outcome:
    try:
        return predict(rows)
    except ServingError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a model's runtime may raise anything; its caller alone is told
        failed = PredictionFailed()
        failed.__cause__ = error
        return failed


def _alike(one: Rows, other: Rows) -> bool:
    """May they share a call: the same question, and rows of the same shape?"""
    return (
        one.method == other.method
        and one.params == other.params
        and one.names == other.names
        and all(
            mine.shape[1:] == theirs.shape[1:] and mine.dtype == theirs.dtype
            for mine, theirs in zip(one.blocks, other.blocks, strict=True)
        )
    )


def _nbytes(rows: Rows) -> int:
    return sum(block.nbytes for block in rows.blocks)
