"""Decide whether to ask again, and after how long. Pure: chance comes in as a number."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.client.errors import Busy, ClientError, Unreachable


@dataclass(frozen=True)
class Retry:
    """What is tried again: 429, 503, gRPC's UNAVAILABLE, and connections that fail. A prediction may be asked twice."""

    attempts: int = 5
    """In all, the first one included; 1 is no retry."""
    first_seconds: float = 0.1
    """The longest pause after the first attempt; each further one may take twice as long."""
    longest_seconds: float = 5.0

    def pause(
        self, error: ClientError, *, failed: int, left: float | None, chance: Callable[[], float]
    ) -> float | None:
        """Seconds to wait after the attempt number `failed`, counted from 1; None to give up with `error`.

        `left`: seconds that the call still has, None for no limit. `chance` gives numbers from 0 to 1.
        """
        if not isinstance(error, Busy | Unreachable) or failed >= self.attempts:
            return None
        # Full jitter: callers who were refused together do not come back together, nor sooner than they were asked to.
        # https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        bound = min(self.longest_seconds, self.first_seconds * 2 ** (failed - 1))
        seconds = error.retry_after + bound * chance()
        # Who could not be answered any more need not wait for it.
        return seconds if left is None or seconds < left else None
