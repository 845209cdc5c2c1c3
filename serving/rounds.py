"""How many predictions may begin in one round of an overloaded event loop: as many as fit in a few milliseconds.

A round of the loop reads all that has come, then calls what that has begun; what comes while it lasts waits for it and
for the next one. Only by answering so many in a round as are answered soon, and refusing the others, does nobody wait
for long.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

ROUND_SECONDS = 0.002
"""About as long again it takes to refuse the others, and who comes meanwhile waits for that, too."""
LEAST_BEGUN, FIRST_BEGUN = 4, 16
"""Predictions of a round: of slow ones too, and before it is known how long they take."""


class Rounds:
    def __init__(self) -> None:
        self._begun, self._most_begun = 0, FIRST_BEGUN
        self._each_seconds = ROUND_SECONDS / FIRST_BEGUN
        self._full = False
        self._calls = 0
        """How many came over gRPC in this round."""
        self._admitted = self._refused = 0
        self._since = 0.0
        self._first: Callable[[], object] = lambda: None
        self._last: Callable[[], object] = lambda: None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Measure the rounds of this loop from now on."""
        # A loop calls in turn. So this comes when all that is there has been read, and before what that has begun,
        self._first = partial(loop.call_soon, self._reads)
        # and this behind the last that may begin.
        self._last = partial(loop.call_soon, self._answers)

    @property
    def each_seconds(self) -> float:
        """What a prediction takes, by the rounds so far."""
        return self._each_seconds

    @property
    def refused_share(self) -> float:
        """Of those who came since `forget`; who came over gRPC does not count."""
        return self._refused / max(self._refused + self._admitted, 1)

    def forget(self) -> None:
        self._admitted = self._refused = 0

    def admits(self) -> bool:
        """May one more prediction begin in this round?"""
        if self._begun < self._most_begun:
            if not self._begun:
                self._first()
            self._begun += 1
            self._admitted += 1
            return True
        if not self._full:
            self._full = True
            self._last()
        self._refused += 1
        return False

    def admits_call(self) -> bool:
        """The same over gRPC, whose calls come when the loop has read what it reads. In a running loop."""
        if not self._calls:
            asyncio.get_running_loop().call_soon(self._called)
        self._calls += 1
        return self._calls <= self._most_begun

    def read(self) -> None:
        """All that this round reads has been; what is read from now on is the next one's."""
        self._begun, self._full = 0, False

    def answered(self, seconds: float) -> None:
        """As many predictions as a round may begin took so long."""
        each = min(seconds / self._most_begun, 2 * self._each_seconds)
        # Half the way: a round that something else held up says nothing of the next.
        self._each_seconds = (self._each_seconds + each) / 2
        self._most_begun = max(LEAST_BEGUN, round(ROUND_SECONDS / self._each_seconds))

    def _called(self) -> None:
        self._calls = 0

    def _reads(self) -> None:
        self._since = time.perf_counter()
        self.read()

    def _answers(self) -> None:
        self.answered(time.perf_counter() - self._since)
