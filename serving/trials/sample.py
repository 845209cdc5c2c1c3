"""One request's part in a trial: which slot answers it, and what came of it.

Made by `Engine.pick` while a trial runs and carried by the request's `Call`; without a trial there is none.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from serving.errors import CallerError, DeadlineExpired, ServingError
from serving.protocol import Answer, Model, NotRows, Rows
from serving.trials.shadow import Question, Shadow

T = TypeVar("T")


class Sample:
    __slots__ = ("_copied", "_counter", "_production", "_shadow", "_told", "_version", "question")

    def __init__(self, shadow: Shadow, version: int, production: Model, *, copied: bool) -> None:
        """`version` answers. `copied`: does the candidate hear what Production has answered?"""
        self._shadow, self._counter = shadow, shadow.counter
        self._version, self._production, self._copied = version, production, copied
        self._told: BaseException | None = None
        self.question: Question | None = None
        """How another version reads it; None where it cannot be read anew."""

    def asked(self, rows: Callable[[Model], Rows], nbytes: int, content: tuple[str, bytes] | None = None) -> None:
        """What the caller asks from here on, before it is read; as `Question` has it."""
        self.question = Question(rows, nbytes, content)

    def answered(self, rows: Rows, answer: Answer, *, predict: float, queue: float = 0.0) -> None:
        """After so many seconds of the model, and of waiting for it."""
        self._counter.answered(self._version, predict)
        if self._copied and self._free(queue):
            self._shadow.copy(self.question, rows, answer, self._production)

    def answered_body(self, content: tuple[str, bytes], answer: bytes, *, predict: float, queue: float) -> None:
        """The same, where MLflow itself has read and written."""
        self._counter.answered(self._version, predict)
        if self._copied and self._free(queue):
            self._shadow.copy_body(*content, answer)

    def failed(self, error: BaseException) -> None:
        """The model has refused it, or could not answer."""
        self._told = error
        if isinstance(error, CallerError):
            self._refused()
        elif not isinstance(error, NotRows):  # then it is asked in another way
            self._counter.failed(self._version)

    def refused(self, error: ServingError) -> None:
        """A transport tells the caller so. What the model was asked about is counted already."""
        if isinstance(error, CallerError) and error is not self._told:
            self._refused()

    async def watch(self, answering: Awaitable[T]) -> T:
        """Count it while it waits, too, and whatever it raises; `answered` is left to who called this."""
        began = self._counter.begins(self._version)
        try:
            answer = await answering
        except DeadlineExpired:
            # As long as that is how long it took at least; an impatient caller says nothing of the model.
            self._counter.answered(self._version, self._counter.ends(self._version, began))
            raise
        except Exception as error:
            self._counter.ends(self._version, began)
            self.failed(error)
            raise
        except BaseException:  # the caller hung up
            self._counter.answered(self._version, self._counter.ends(self._version, began))
            raise
        self._counter.ends(self._version, began)
        return answer

    def _free(self, queue: float) -> bool:
        if queue <= self._shadow.busy_seconds:
            return True
        self._counter.dropped()
        return False

    def _refused(self) -> None:
        """Of Production that says nothing. Of a canary it may be the caller's fault: Production is asked."""
        if self._version == self._counter.version and self.question is not None:
            self._shadow.refused(self.question, self._production)
