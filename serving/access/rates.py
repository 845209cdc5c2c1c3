"""A rate for each caller, the same bucket in every worker of this machine.

The generic cell rate algorithm (ITU-T I.371): of each caller one number is kept, the time at which its bucket is full
again. The numbers are in a file that all workers map. Two workers that take a token in the same microsecond may let one
request more through; nobody waits for a lock. Callers whose names share a place share a bucket: with 1,000 callers, one
pair in two machines.
"""

import mmap
import os
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

PLACES = 1 << 20
APART_SECONDS = 1e-5
"""So far may two workers' clocks be apart, by their processors or by rounding, without anybody paying for it."""


class Rates:
    def __init__(
        self,
        rate: float | None,
        burst: int,
        path: Path | None = None,
        clock: Callable[[], float] = time.monotonic,  # the same one in all processes of a machine
    ) -> None:
        """`rate`: requests a second; None: only callers with one of their own have any. `path`: where it is shared."""
        self._rate, self._burst, self._clock = rate, burst, clock
        self._full_at = memoryview(_mapped(path)).cast("d")
        self._places: dict[str, int] = {}

    def wait(self, name: str, own: float | None = None) -> float:
        """Seconds until `name` may ask again; 0: now, and that was counted. `own`: its own rate."""
        rate = own or self._rate
        if rate is None:
            return 0
        place = self._places.get(name)
        if place is None:
            place = self._place(name)
        # In this order: what another worker writes after the clock was read would be time that we have not had.
        full_at, now = self._full_at[place], self._clock()
        # Never further than its whole bucket: that would be a clock from before the machine was started again.
        whole = self._burst / rate
        begins = min(max(full_at, now), now + whole + APART_SECONDS)
        late = begins + 1 / rate - now - whole
        if late > APART_SECONDS:
            return late
        self._full_at[place] = begins + 1 / rate
        return 0

    def _place(self, name: str) -> int:
        if len(self._places) > PLACES:  # tokens name their subjects: there may be any number of them
            self._places.clear()
        found = int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % PLACES
        return self._places.setdefault(name, found)


def _mapped(path: Path | None) -> mmap.mmap:
    size = PLACES * 8
    if path is None:
        return mmap.mmap(-1, size)
    # A file with holes: only what is used takes room.
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(opened, size)
        return mmap.mmap(opened, size)
    finally:
        os.close(opened)
