"""Ask until there is an answer: which attempts, and which pauses between them.

Generators of steps, so that they are written once: the sync and the async client take them, each waiting in its way.
Touches no network and does not sleep itself.
"""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from serving.client.dialect import Question
from serving.client.errors import ClientError, DeadlineExpired
from serving.client.retry import Retry

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


class Attempts:
    def __init__(
        self,
        retry: Retry,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._retry, self.clock, self.chance = retry, clock, chance

    def until(self, seconds: float | None) -> Deadline:
        return Deadline(None if seconds is None else self.clock() + seconds, self.clock)

    def tried(self, question: Question, deadline: Deadline) -> Steps[Any]:
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
                error.attempts = failed
                pause = self._retry.pause(error, failed=failed, left=deadline.left(), chance=self.chance)
                if pause is None:
                    raise
            yield Wait(pause)
