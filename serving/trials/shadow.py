"""What a candidate is asked without anybody waiting for it: copies of what Production has answered.

And what Production is asked about a request that a canary has refused: is the caller wrong, or the candidate?
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from serving import logs
from serving.errors import CallerError
from serving.protocol import Answer, Model, NotRows, Rows, Signature
from serving.trials.agreement import agree, agree_as_json
from serving.trials.lane import Lane
from serving.trials.tally import OVERDUE_SECONDS, Counter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, to be read anew by another version."""

    rows: Callable[[Model], Rows]
    """As that model takes it. InvalidInput; NotRows where it must be asked in another way."""
    nbytes: int
    """That it keeps in memory."""
    content: tuple[str, bytes] | None = None
    """Media type and body, where MLflow's own parser could read it too."""

    def ask(self, model: Model) -> None:
        """Whatever the model raises."""
        if self.content is not None and (model.plan is None or not model.plan.blocks):
            model.invoke(*self.content)
        else:
            model.predict(self.rows(model))


class Shadow:
    """The candidate of one trial, in one worker."""

    def __init__(self, model: Model, counter: Counter, lane: Lane | None = None) -> None:
        self.counter = counter
        self._model = model
        self._lane = lane or Lane()
        self.busy_seconds = self._lane.bounds.busy_seconds
        self._said = False
        self._compared: Signature | None = None
        self._alike = False
        # Here and not in a host, it would be billed for waiting while callers have Python's lock.
        self._clock = time.thread_time if model.runtime == "onnx" else time.perf_counter

    def copy(self, question: Question | None, rows: Rows, answer: Answer, production: Model) -> None:
        """Ask the candidate what `production` has answered."""
        if self._reads_like(production):
            self._offer(partial(self._compare, lambda: rows, answer), _nbytes(rows))
        elif question is not None and self._model.plan is not None:
            self._offer(partial(self._compare, partial(_again, question, self._model, rows), answer), question.nbytes)
        else:
            self.counter.dropped()

    def copy_body(self, media_type: str, body: bytes, answer: bytes) -> None:
        """The same of a body that only MLflow itself reads, and the JSON that it answered."""
        self._offer(partial(self._compare_bodies, media_type, body, answer), len(body) + len(answer))

    def refused(self, question: Question, production: Model) -> None:
        """The candidate has refused it: where Production takes it, that is an error of the candidate."""
        self._offer(partial(self._second_opinion, question, production), question.nbytes)

    def asks(self, model: Model) -> bool:
        return self._model is model

    def late(self) -> int:
        """How many copies wait for a call of the candidate that takes over OVERDUE_SECONDS."""
        return self._lane.stuck(OVERDUE_SECONDS)

    def close(self) -> None:
        self._lane.close()

    def _reads_like(self, production: Model) -> bool:
        """Are rows that were read for it what the candidate takes? Signatures are compared once only."""
        if production.signature is not self._compared:
            self._compared, self._alike = production.signature, production.signature == self._model.signature
        return self._alike and production.plan is not None and self._model.plan is not None

    def _offer(self, work: Callable[[], None], nbytes: int) -> None:
        if not self._lane.offer(work, nbytes):
            self.counter.dropped()

    def _compare(self, read: Callable[[], Rows], answer: Answer) -> None:
        try:
            rows = read()
            began = self._clock()
            found = self._model.predict(rows)
        except NotRows:
            self.counter.dropped()
        except Exception as error:  # noqa: BLE001 - whatever it raises, Production has answered this request
            self._failed(error)
        else:
            self.counter.answered(self.counter.version, self._clock() - began)
            self.counter.compared(agreed=agree(answer, found))

    def _compare_bodies(self, media_type: str, body: bytes, answer: bytes) -> None:
        began = time.perf_counter()
        try:
            found = self._model.invoke(media_type, body)
        except Exception as error:  # noqa: BLE001 - as in _compare
            self._failed(error)
        else:
            self.counter.answered(self.counter.version, time.perf_counter() - began)
            self.counter.compared(agreed=agree_as_json(answer, found))

    def _second_opinion(self, question: Question, production: Model) -> None:
        try:
            question.ask(production)
        except Exception:  # noqa: BLE001 - it is not the candidate alone that cannot answer this
            return
        self._failed(CallerError("refused by the candidate only"))

    def _failed(self, error: Exception) -> None:
        self.counter.failed(self.counter.version)
        if not self._said:  # once: a candidate that always fails would fill the log
            self._said = True
            extra = {"version": self.counter.version, "cause": logs.where(error)}
            log.warning("candidate failed", extra=extra)


def _again(question: Question, model: Model, rows: Rows) -> Rows:
    read = question.rows(model)
    return Rows(read.blocks, read.count, rows.method, read.params, read.names)


def _nbytes(rows: Rows) -> int:
    return sum(block.nbytes for block in rows.blocks)
