"""How late this worker's event loop is, and how many predictions may begin in one round of it when it is.

A model that answers in the loop has no queue to be full: what is too much waits in the sockets, unseen, and each round
of the loop reads all of them. Only the time that a round takes tells of it; and only by answering so many in a round as
fit in a few milliseconds, and refusing the others, does nobody wait for long.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

TICK_SECONDS = 0.01
LATE_SECONDS, STANDING_SECONDS, STANDING_LOOKS = 0.02, 0.15, 3
"""A loop that was held up once is no overload; one that was late all this time, at each look, may be."""
CALM_SECONDS, CALM_SHARE = 1.0, 0.1
"""An overload is over when of those who came in so long not even this part was too much."""
ROUND_SECONDS = 0.005
"""What is read while a round lasts waits for it and for the next one."""
LEAST_BEGUN, FIRST_BEGUN = 4, 16
"""Predictions of a round: of slow ones too, and before it is known how long they take."""


class Lag:
    def __init__(self, most_seconds: float) -> None:
        """Callers who could all be answered in so long, if they asked at once, are no overload."""
        self._most_seconds = most_seconds
        self.overloaded = False
        self.window = 0
        """A number for each second. What reads requests counts in `callers` who asks in it, and in `came` how often."""
        self.callers = self.came = 0
        self._callers_before = 0
        self._punctual = self._counted = 0.0
        """When it was last in time, and since when what comes is counted."""
        self._used = 0.0
        """Seconds of a processor, when it was last looked at."""
        self._late = 0
        """Looks in a row that found it so."""
        self._admitted = self._refused = 0
        self._begun, self._most_begun = 0, FIRST_BEGUN
        self._full = False
        self._since = 0.0
        self._calls = 0
        """How many came over gRPC in this round."""
        self._first: Callable[[], object] = lambda: None
        self._last: Callable[[], object] = lambda: None
        self._when_late: Callable[[], None] = lambda: None

    def start(self, when_late: Callable[[], None] = lambda: None) -> None:
        """Look at the loop that runs, and measure its rounds, from now on."""
        self._when_late = when_late
        loop = asyncio.get_running_loop()
        # A loop calls in turn. So this comes when all that is there has been read, and before what that has begun,
        self._first = partial(loop.call_soon, self._reads)
        # and this behind the last that may begin.
        self._last = partial(loop.call_soon, self._answers)
        self._punctual = self._counted = loop.time()
        self._used = time.thread_time()
        self._next(loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + TICK_SECONDS
        loop.call_at(due, self._tick, loop, due)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now, used = loop.time(), time.thread_time()
        self.look(now, now - due, used - self._used)
        self._used = used
        if now - due > TICK_SECONDS:
            self._when_late()
        self._next(loop)

    def look(self, now: float, late: float, used_seconds: float) -> None:
        """So late was the loop just now; since it was last looked at, it has used so much of a processor.

        Where others take the processor, every round is late, and refusing somebody would not make it shorter.
        """
        came, self.came = self.came, 0
        if late <= LATE_SECONDS:
            self._punctual, self._late = now, 0
        else:
            self._late += 1
            if not self.overloaded and self._stands(now) and self._is_too_much(used_seconds / max(came, 1)):
                self.overloaded = True
                self._count(now)
        if now - self._counted >= CALM_SECONDS:
            refused = self._refused > CALM_SHARE * (self._refused + self._admitted)
            self.overloaded = self.overloaded and refused and self._is_too_much(ROUND_SECONDS / self._most_begun)
            self._count(now)

    def _stands(self, now: float) -> bool:
        return self._late >= STANDING_LOOKS and now - self._punctual >= STANDING_SECONDS

    def _is_too_much(self, each_seconds: float) -> bool:
        """If not, everybody could be answered in time; who is refused and comes back at once only seems to be many."""
        return max(self.callers, self._callers_before) * each_seconds > self._most_seconds

    def _count(self, now: float) -> None:
        self._counted, self._admitted, self._refused = now, 0, 0
        self.window, self._callers_before, self.callers = self.window + 1, self.callers, 0

    def admits(self) -> bool:
        """May one more prediction begin in this round?"""
        if not self.overloaded:
            return True
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
        """The same over gRPC, whose calls come when the loop has read what it reads."""
        if not self.overloaded:
            return True
        if not self._calls:
            asyncio.get_running_loop().call_soon(self._called)
        self._calls += 1
        return self._calls <= self._most_begun

    def read(self) -> None:
        """All that this round reads has been; what is read from now on is the next one's."""
        self._begun, self._full = 0, False

    def answered(self, seconds: float) -> None:
        """As many predictions as a round may begin took so long."""
        fitting = min(self._most_begun * ROUND_SECONDS / seconds, 2 * self._most_begun)
        # Half the way: a round that something else held up says nothing of the next.
        self._most_begun = max(LEAST_BEGUN, round((self._most_begun + fitting) / 2))

    def _called(self) -> None:
        self._calls = 0

    def _reads(self) -> None:
        self._since = time.perf_counter()
        self.read()

    def _answers(self) -> None:
        self.answered(time.perf_counter() - self._since)
