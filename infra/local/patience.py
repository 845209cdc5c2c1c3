"""Wait for a condition. The one place that sleeps."""

import time
from collections.abc import Callable


def until(look: Callable[[], object], *, seconds: float, every: float = 0.1) -> bool:
    """Whether `look()` became true in time."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)  # noqa: TID251 - this is the wait for a condition
    return True
