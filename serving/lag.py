"""How late this worker's event loop is, and whether that is an overload.

A model that answers in the loop has no queue to be full: what is too much waits in the sockets, unseen, and each round
of the loop reads all of them. Only the time that a round takes tells of it. How many begin in a round then is for
`rounds.py` to say.
"""

import asyncio
import time
from collections.abc import Callable

from serving.rounds import Rounds

TICK_SECONDS = 0.01
LATE_SECONDS, STANDING_SECONDS, STANDING_LOOKS = 0.02, 0.15, 3
"""A loop that was held up once is no overload; one that was late all this time, at each look, may be."""
CALM_SECONDS, CALM_SHARE = 1.0, 0.1
"""An overload is over when of those who came in so long not even this part was too much."""
OVER_SHARE = 0.5
"""Or when all who ask could be answered in this part of the time: at its edge it would come and go, and each time it
comes they wait for longer than they need to."""


class Lag:
    def __init__(self, most_seconds: float) -> None:
        """Callers who could all be answered in so long, if they asked at once, are no overload."""
        self._most_seconds = most_seconds
        self.overloaded = False
        self.rounds = Rounds()
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
        self._when_late: Callable[[], None] = lambda: None

    def start(self, when_late: Callable[[], None] = lambda: None) -> None:
        """Look at the loop that runs, and measure its rounds, from now on."""
        self._when_late = when_late
        loop = asyncio.get_running_loop()
        self.rounds.start(loop)
        self._punctual = self._counted = loop.time()
        self._used = time.thread_time()
        self._next(loop)

    def admits(self) -> bool:
        """May one more prediction begin now?"""
        return not self.overloaded or self.rounds.admits()

    def admits_call(self) -> bool:
        """The same over gRPC."""
        return not self.overloaded or self.rounds.admits_call()

    def look(self, now: float, late: float, used_seconds: float) -> None:
        """So late was the loop just now; since it was last looked at, it has used so much of a processor.

        Where others take the processor, every round is late, and refusing somebody would not make it shorter.
        """
        came, self.came = self.came, 0
        if late <= LATE_SECONDS:
            self._punctual, self._late = now, 0
        else:
            self._late += 1
            each_seconds = used_seconds / max(came, 1)
            if not self.overloaded and self._stands(now) and self._seconds(each_seconds) > self._most_seconds:
                self.overloaded = True
                self._count(now)
        if now - self._counted >= CALM_SECONDS:
            refused = self.rounds.refused_share > CALM_SHARE
            still = self._seconds(self.rounds.each_seconds) > OVER_SHARE * self._most_seconds
            self.overloaded = self.overloaded and refused and still
            self._count(now)

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

    def _stands(self, now: float) -> bool:
        return self._late >= STANDING_LOOKS and now - self._punctual >= STANDING_SECONDS

    def _seconds(self, each_seconds: float) -> float:
        """To answer all who ask, each once: who is refused and comes back at once only seems to be many."""
        return max(self.callers, self._callers_before) * each_seconds

    def _count(self, now: float) -> None:
        self._counted = now
        self.rounds.forget()
        self.window, self._callers_before, self.callers = self.window + 1, self.callers, 0
