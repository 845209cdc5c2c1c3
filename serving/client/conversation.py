"""What a call says and hears until it has its answer: which requests, which pauses, in which order.

A generator of steps, so that it is written once: the sync and the async client take them, each waiting in its way.
Touches no network and does not sleep itself.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from serving.client import given
from serving.client.dialect import Dialect, Question
from serving.client.errors import CallerError, ClientError, DeadlineExpired, InvalidInput, PredictionFailed, RowsRefused
from serving.client.given import Rows
from serving.client.interface import Interface
from serving.client.pieces import Piece
from serving.client.replies import Answer, Reply
from serving.client.retry import Retry

OF_A_ROW = InvalidInput, RowsRefused, PredictionFailed
"""What a row of a stream may be answered with while the stream goes on."""

T = TypeVar("T")


class Send(NamedTuple):
    """Give back the response, or throw in Unreachable or DeadlineExpired."""

    request: Any
    seconds: float | None
    """That are left for it; None is no limit."""


class Wait(NamedTuple):
    seconds: float


Steps = Generator[Send | Wait, Any, T]


@dataclass(frozen=True)
class Deadline:
    """`at` by `clock`; None is never."""

    at: float | None
    clock: Callable[[], float]

    def left(self) -> float | None:
        return None if self.at is None else self.at - self.clock()


class Conversation:
    """With one model. What it learns of the model's inputs it keeps until another version answers."""

    def __init__(
        self,
        dialect: Dialect,
        retry: Retry,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._dialect, self._retry = dialect, retry
        self._clock, self._chance = clock, chance
        self._interface: Interface | None = None

    def ask(self, rows: Any, params: Mapping[str, Any] | None, seconds: float | None) -> Steps[Answer]:
        """`rows` as `given.read` takes them; `seconds` for all of it, pauses included."""
        read = given.read(rows)
        reply = yield from self._asked(read.rows, params or {}, self._until(seconds))
        return Answer(read.natural(reply.predictions), *reply.source)

    def learn(self, seconds: float | None) -> Steps[Interface]:
        return (yield from self._known_interface(self._until(seconds)))

    def piece(self, piece: Piece, seconds: float | None) -> Steps[list[Any]]:
        """For each row of a stream's piece its prediction, or the error that it met."""
        deadline = self._until(seconds)
        question = self._dialect.asks_lines(piece.lines, uuid4().hex)
        if question is None:
            outcomes = yield from self._together_or_each(piece.rows, deadline)
        else:
            outcomes = yield from self._tried(question, deadline)
        for at, each in enumerate(outcomes, start=piece.first):
            if isinstance(each, ClientError):
                each.row = at
        return outcomes

    def _together_or_each(self, rows: list[Any], deadline: Deadline) -> Steps[list[Any]]:
        """One bad row fails all that were sent with it; then each is asked for by itself."""
        try:
            reply = yield from self._asked(given.read(rows).rows, {}, deadline)
        except OF_A_ROW as error:
            if len(rows) == 1:
                return [error]
        else:
            return reply.predictions
        outcomes = []
        for row in rows:
            outcomes += yield from self._together_or_each([row], deadline)
        return outcomes

    def _asked(self, rows: Rows, params: Mapping[str, Any], deadline: Deadline) -> Steps[Reply]:
        if not self._dialect.needs_interface(rows):
            return (yield from self._put(rows, None, params, deadline))
        known = self._interface
        interface = yield from self._known_interface(deadline)
        try:
            reply = yield from self._put(rows, interface, params, deadline)
        except CallerError as error:
            if not interface.is_older_than(error.version) and (known is None or error.version):
                raise
            # Another version may have been promoted in between; it is asked as it wants to be.
            self._interface = None
            interface = yield from self._known_interface(deadline)
            reply = yield from self._put(rows, interface, params, deadline)
        if interface.is_older_than(reply.source.version):
            self._interface = None
        return reply

    def _put(
        self, rows: Rows, interface: Interface | None, params: Mapping[str, Any], deadline: Deadline
    ) -> Steps[Reply]:
        question = self._dialect.asks(rows, interface, params, uuid4().hex)
        reply: Reply = yield from self._tried(question, deadline)
        return reply

    def _known_interface(self, deadline: Deadline) -> Steps[Interface]:
        known = self._interface
        if known is None:
            # Kept only when it is whole: another thread may ask in between.
            self._interface = known = yield from self._learnt(deadline)
        return known

    def _learnt(self, deadline: Deadline) -> Steps[Interface]:
        learning = self._dialect.learns()
        answer = None
        while True:
            try:
                question = learning.send(answer)
            except StopIteration as learnt:
                found: Interface = learnt.value
                return found
            answer = yield from self._tried(question, deadline)

    def _tried(self, question: Question, deadline: Deadline) -> Steps[Any]:
        """The answer, asked for again while that may help."""
        failed = 0
        met: ClientError | None = None
        while True:
            left = deadline.left()
            if left is not None and left <= 0:
                raise DeadlineExpired from met
            try:
                return question.read((yield Send(question.request, left)))
            except ClientError as error:
                failed, met = failed + 1, error
                pause = self._retry.pause(error, failed=failed, left=deadline.left(), chance=self._chance)
                if pause is None:
                    raise
            yield Wait(pause)

    def _until(self, seconds: float | None) -> Deadline:
        return Deadline(None if seconds is None else self._clock() + seconds, self._clock)
