"""How late this worker's event loop is, and whether what comes should be refused until it has caught up.

A model that answers in the loop has no queue to be full: what is too much waits in the sockets, unseen. Only the time
that a round of the loop takes tells of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

TICK_SECONDS = 0.01
STANDING_SECONDS = 1.0
"""A loop that was held up once is no overload; one that was late all this time is."""
CALM_SECONDS = 1.0


@dataclass
class Lag:
    most_seconds: float
    """Later than that, all the time, is an overload; in one, later than that once is enough to refuse."""
    refused: Callable[[], None] = lambda: None
    """Is told of each request that is."""
    closed: bool = False
    """Should what comes now be refused?"""
    _punctual: float = field(default=0.0, init=False)
    """When it was last in time."""
    _until: float = field(default=0.0, init=False)
    """When the overload is over, unless it is late again."""

    def start(self) -> None:
        loop = asyncio.get_running_loop()
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
        if late <= self.most_seconds:
            self._punctual = now
            self.closed = False
        elif now < self._until or now - self._punctual >= STANDING_SECONDS:
            self._until = now + CALM_SECONDS
            self.closed = True
