"""What a call says and hears until it has its answer: which questions, in which order.

Generators of steps, as in `attempts.py`: no network, and no waiting of their own.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from serving.client import given
from serving.client.attempts import Attempts, Deadline, Steps
from serving.client.dialect import Dialect, Question
from serving.client.errors import CallerError, ClientError, InvalidInput, PredictionFailed, RowsRefused, Source
from serving.client.given import Rows
from serving.client.interface import Interface
from serving.client.pieces import Piece
from serving.client.replies import Answer, Reply
from serving.client.retry import Retry

OF_A_ROW = InvalidInput, RowsRefused, PredictionFailed
"""What a row of a stream may be answered with while the stream goes on."""


class FromSomebody(Protocol):
    @property
    def source(self) -> Source: ...


Heard = TypeVar("Heard", bound=FromSomebody)


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
        self._dialect = dialect
        self.attempts = Attempts(retry, clock=clock, chance=chance)
        self._interface: Interface | None = None

    def ask(self, rows: Any, params: Mapping[str, Any] | None, seconds: float | None) -> Steps[Answer]:
        """`rows` as `given.read` takes them; `seconds` for all of it, pauses included."""
        read = given.read(rows)
        reply = yield from self._asked(read.rows, params or {}, self.attempts.until(seconds))
        return Answer(read.natural(reply.predictions), *reply.source)

    def learn(self, seconds: float | None) -> Steps[Interface]:
        return (yield from self._known_interface(self.attempts.until(seconds)))

    def piece(self, piece: Piece, seconds: float | None) -> Steps[list[Any]]:
        """For each row of a stream's piece its prediction, or the error that it met."""
        deadline = self.attempts.until(seconds)
        question = self._dialect.asks_lines(piece.lines, uuid4().hex)
        if question is None:
            outcomes = yield from self._together_or_each(piece.rows, deadline)
        else:
            outcomes = yield from self.attempts.tried(question, deadline)
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

    def fitting(self, rows: Rows, asks: Callable[[Interface | None], Question], deadline: Deadline) -> Steps[Heard]:
        """The answer to what `asks` makes of the model's inputs; it is told them where these rows need that."""
        if not self._dialect.needs_interface(rows):
            return (yield from self._heard(asks(None), deadline))
        known = self._interface
        interface = yield from self._known_interface(deadline)
        try:
            heard: Heard = yield from self._heard(asks(interface), deadline)
        except CallerError as error:
            if not interface.is_older_than(error.version) and (known is None or error.version):
                raise
            # Another version may have been promoted in between; it is asked as it wants to be.
            self._interface = None
            interface = yield from self._known_interface(deadline)
            heard = yield from self._heard(asks(interface), deadline)
        if interface.is_older_than(heard.source.version):
            self._interface = None
        return heard

    def _asked(self, rows: Rows, params: Mapping[str, Any], deadline: Deadline) -> Steps[Reply]:
        def asks(interface: Interface | None) -> Question:
            return self._dialect.asks(rows, interface, params, uuid4().hex)

        return (yield from self.fitting(rows, asks, deadline))

    def _heard(self, question: Question, deadline: Deadline) -> Steps[Heard]:
        heard: Heard = yield from self.attempts.tried(question, deadline)
        return heard

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
            answer = yield from self.attempts.tried(question, deadline)
