"""Decide whether one more may wait for a model, by how long it would wait. Pure: the clock comes in.

A burst may wait for `most_seconds`. Whoever has to be refused shows that it is no burst: from then on, until nobody was
refused for a second, nobody waits longer than a few calls of the model take, and no call has more rows than it has time
for in a few; so who is answered is answered soon. A queue that only has a length fills up in an overload, and everybody
waits for all of it.
"""

import math
import time
from collections import deque
from collections.abc import Callable

WAITED_CALLS, JOINED_CALLS = 2, 3
"""Calls of the model that one may wait for in an overload, and for how many of them a call of joined rows may last."""
LEAST_SECONDS = 0.02
"""So long one may always wait: for fewer rows at a time a quick model is not worth calling."""
PATIENT_CALLS = 10
"""A slow model has bursts of its own: it is no overload when so many calls wait."""
CALM_SECONDS = 1.0
_REMEMBERED = 9


class Congestion:
    def __init__(self, most_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_seconds, self._clock = most_seconds, clock
        self._rows: deque[float] = deque(maxlen=_REMEMBERED)
        self._row_seconds = self._called_row_seconds = 0.0
        """Of all calls that run at a time, and of one."""
        self._least = math.inf
        self._until = -math.inf

    def called(self, rows: int, seconds: float, *, side_by_side: int) -> None:
        """A call of the model has ended; so many run at a time."""
        self._rows.append(seconds / max(rows, 1))
        # The middle one: a call that was held up by something else says nothing of the next.
        self._called_row_seconds = sorted(self._rows)[len(self._rows) // 2]
        self._row_seconds = self._called_row_seconds / side_by_side
        self._least = min(self._least, seconds)

    def admits(self, waiting_rows: int) -> bool:
        """May one wait behind so many rows? When not, it is an overload."""
        if waiting_rows * self._row_seconds <= self._allowed():
            return True
        self._until = self._clock() + CALM_SECONDS
        return False

    def is_too_long(self, waiting_rows: int) -> bool:
        """Is that more than should wait now?"""
        return waiting_rows * self._row_seconds > self._allowed()

    def most_rows(self) -> float:
        """That may wait now, before the next is refused."""
        return self._allowed() / self._row_seconds if self._row_seconds else math.inf

    def joined(self, most_rows: int) -> int:
        """So many rows at most should be joined for a call now; `most_rows` when it is no overload."""
        if not self._called_row_seconds or self._clock() >= self._until:
            return most_rows
        seconds = max(JOINED_CALLS * self._least, LEAST_SECONDS)
        return max(1, min(most_rows, round(seconds / self._called_row_seconds)))

    def _allowed(self) -> float:
        least = self._least if self._rows else 0.0
        if self._clock() < self._until:
            return max(WAITED_CALLS * least, LEAST_SECONDS)
        return max(PATIENT_CALLS * least, self._most_seconds)
