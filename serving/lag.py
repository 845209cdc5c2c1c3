"""How late this worker's event loop is, and how many predictions may begin in one round of it when it is.

A model that answers in the loop has no queue to be full: what is too much waits in the sockets, unseen, and each round
of the loop reads all of them. Only the time that a round takes tells of it; and only by answering so many in a round as
fit in a few milliseconds, and refusing the others, does nobody wait for long.
"""

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial

TICK_SECONDS = 0.01
STANDING_SECONDS, STANDING_LOOKS = 0.2, 2
"""A loop that was held up once is no overload; one that was late all this time, however often it was looked at, is."""
CALM_SECONDS, CALM_SHARE = 1.0, 0.1
"""An overload is over when of those who came in so long not even this part was too much."""
ROUND_SECONDS = 0.005
"""What is read while a round lasts waits for it and for the next one."""
LEAST_BEGUN, FIRST_BEGUN = 4, 16
"""Predictions of a round: of slow ones too, and before it is known how long they take."""


class Lag:
    def __init__(self, most_seconds: float) -> None:
        """A loop that is later than that for a while is overloaded."""
        self._most_seconds = most_seconds
        self._punctual = self._since = -math.inf
        """When it was last in time, and since when those who come in an overload are counted."""
        self._admitted = self._refused = 0
        self.overloaded = False
        self._late = 0
        """Looks in a row that found it so."""
        self._begun, self._most_begun = 0, FIRST_BEGUN
        self._opened: Callable[[], object] = lambda: None
        self._connections: Callable[[], float] = lambda: math.inf

    def start(self, connections: Callable[[], float] = lambda: math.inf) -> None:
        """Look at the loop that runs, and measure its rounds, from now on.

        `connections`: how many could ask at once.
        """
        self._connections = connections
        loop = asyncio.get_running_loop()
        # It comes when all that is to be read has been, and before what that has begun.
        self._opened = partial(loop.call_soon, self._measure, loop)
        self._punctual = loop.time()
        self._next(loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + TICK_SECONDS
        loop.call_at(due, self._tick, loop, due)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self.look(now, now - due)
        self._next(loop)

    def look(self, now: float, late: float) -> None:
        """So late was the loop just now."""
        if late <= self._most_seconds:
            self._punctual, self._late = now, 0
        else:
            self._late += 1
        if not self.overloaded and self._late >= STANDING_LOOKS and now - self._punctual >= STANDING_SECONDS:
            self.overloaded = True
            self._count(now)
        elif self.overloaded and now - self._since >= CALM_SECONDS:
            self.overloaded = self._are_many_refused() and self._could_all_be_late()
            self._count(now)

    def _are_many_refused(self) -> bool:
        return self._refused > CALM_SHARE * (self._refused + self._admitted)

    def _could_all_be_late(self) -> bool:
        """If not, everybody could be answered in time, and those who were refused came back at once and are few."""
        return self._connections() * ROUND_SECONDS / self._most_begun > self._most_seconds

    def _count(self, now: float) -> None:
        self._since, self._admitted, self._refused = now, 0, 0

    def admits(self) -> bool:
        """May one more prediction begin in this round?"""
        if not self.overloaded:
            return True
        if not self._begun:
            self._opened()
        if self._begun < self._most_begun:
            self._begun += 1
            self._admitted += 1
            return True
        self._refused += 1
        return False

    def _measure(self, loop: asyncio.AbstractEventLoop) -> None:
        # Behind what has begun, and what the next round reads.
        loop.call_soon(self._measured, self.read(), time.perf_counter())

    def _measured(self, begun: int, since: float) -> None:
        self.rounded(begun, time.perf_counter() - since)

    def read(self) -> int:
        """All that a round has read has been; so many have begun."""
        begun, self._begun = self._begun, 0
        return begun

    def rounded(self, begun: int, seconds: float) -> None:
        """A round with so many predictions took so long."""
        if begun < self._most_begun and seconds <= ROUND_SECONDS:
            return  # there was not more to do
        fitting = min(begun * ROUND_SECONDS / seconds, 2 * self._most_begun)
        # Half the way: a round that something else held up says nothing of the next.
        self._most_begun = max(LEAST_BEGUN, round((self._most_begun + fitting) / 2))
