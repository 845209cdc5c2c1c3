"""Decide whether one more may wait for a model, by how long it would wait. Pure: the clock comes in.

A burst may wait for `most_seconds`. Whoever has to be refused shows that it is no burst: from then on, until nobody was
refused for a second, nobody waits longer than a few calls of the model take, and no call has more rows than it has time
for in a few; so who is answered is answered soon. A queue that only has a length fills up in an overload, and everybody
waits for all of it.

What a row takes depends on how many share its call, by a factor of a hundred. So it is known for each size that calls
have had, by the nearest one for others, and not at all for much larger ones: calls become those step by step.
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
KNOWING_CALLS = 2
"""The first call of a model is its slowest, and says nothing of the others."""
KNOWN_TIMES = 8
"""What calls take that have so many times as many rows as any had is told by those; beyond it nothing is known."""
CALM_SECONDS = 1.0
MISTAKEN_SHARE = 0.5
"""It was no overload, if those who waited when it was taken for one would wait for less than this part of a burst."""
_REMEMBERED = 9


class Congestion:
    def __init__(self, most_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_seconds, self._clock = most_seconds, clock
        self._rows: dict[int, deque[float]] = {}
        """What a row took in the last calls of each size; of two sizes the larger is twice the other."""
        self._row_seconds: dict[int, float] = {}
        """The middle one of those: a call that was held up by something else says nothing of the next."""
        self._calls = self._known_rows = 0
        self._side_by_side = 1
        self._least = math.inf
        self._until = -math.inf
        self._too_many = (0.0, 1.0)
        """Rows that waited when it became an overload, and of how many a call would have been."""

    def called(self, rows: int, seconds: float, *, side_by_side: int) -> None:
        """A call of the model has ended; so many run at a time."""
        size = _size(rows)
        lately = self._rows.setdefault(size, deque(maxlen=_REMEMBERED))
        lately.append(seconds / max(rows, 1))
        self._row_seconds[size] = sorted(lately)[(len(lately) - 1) // 2]
        self._known_rows = max(self._known_rows, KNOWN_TIMES * rows)
        self._calls += 1
        self._side_by_side = side_by_side
        self._least = min(self._least, seconds)

    def admits(self, waiting_rows: int, call_rows: float) -> bool:
        """May one wait behind so many rows, of which so many share a call? When not, it is an overload."""
        if not self.is_too_long(waiting_rows, call_rows):
            return True
        now = self._clock()
        if now >= self._until:
            self._too_many = waiting_rows, call_rows
        elif self._seconds(*self._too_many) < MISTAKEN_SHARE * self._patience():
            self._until = -math.inf
            return self.admits(waiting_rows, call_rows)
        self._until = now + CALM_SECONDS
        return False

    def is_too_long(self, waiting_rows: int, call_rows: float) -> bool:
        """Is that more than should wait now?"""
        return self._seconds(waiting_rows, call_rows) > self._allowed()

    def most_rows(self, call_rows: float) -> float:
        """That may wait now, before the next is refused."""
        each = self._seconds(1, call_rows)
        return self._allowed() / each if each else math.inf

    def joined(self, most_rows: int) -> int:
        """So many rows at most should be joined for a call now; `most_rows` when it is no overload, and known well."""
        if self._calls and most_rows > self._known_rows:
            most_rows = self._known_rows
        if self._calls < KNOWING_CALLS or self._clock() >= self._until:
            return most_rows
        seconds = max(JOINED_CALLS * self._least, LEAST_SECONDS)
        return max(1, min(most_rows, round(seconds / self._row_in(most_rows))))

    def _seconds(self, waiting_rows: float, call_rows: float) -> float:
        if self._calls < KNOWING_CALLS or call_rows > self._known_rows:
            return 0.0
        return waiting_rows * self._row_in(call_rows) / self._side_by_side

    def _row_in(self, call_rows: float) -> float:
        """What a row takes in a call of so many; of sizes that are equally near the smaller, which is the worse."""
        size = _size(call_rows)
        return self._row_seconds[min(self._row_seconds, key=lambda known: (abs(known - size), known))]

    def _allowed(self) -> float:
        if self._clock() < self._until:
            return max(WAITED_CALLS * self._least, LEAST_SECONDS)
        return self._patience()

    def _patience(self) -> float:
        least = self._least if self._calls else 0.0
        return max(PATIENT_CALLS * least, self._most_seconds)


def _size(rows: float) -> int:
    return int(rows).bit_length()
