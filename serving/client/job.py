"""A job as its caller sees it: a request that is answered later. Pure."""

from dataclasses import dataclass, field

from serving.client.natural import Natural, as_they_are

OPEN = "queued", "running"
SUCCEEDED = "succeeded"


@dataclass(frozen=True)
class Job:
    """As it was when it was looked at. Times are milliseconds since the epoch."""

    id: str
    model: str
    state: str
    """`queued` and `running`; `succeeded`; `failed`, `dead`, `cancelled` and `expired`, which have no result."""
    version: int | None
    """That answers, or did; None while a job for whichever is the latest waits."""
    rows_done: int
    rows_total: int | None
    position: int | None
    """How many jobs are before it; None when it is not queued."""
    accepted_ms: int
    started_ms: int | None
    ended_ms: int | None
    expires_ms: int
    """When it is given up on; of an ended one, when it is forgotten."""
    code: str
    reason: str
    """Why it has no result; empty where it may have one."""
    callback: str
    """`waiting`, `delivered` or `failed`; empty where nobody is to be told."""
    natural: Natural = field(default=as_they_are, repr=False, compare=False)
    """What its result is made into; who has only its id gets a list."""

    @property
    def ended(self) -> bool:
        return self.state not in OPEN

    @property
    def succeeded(self) -> bool:
        return self.state == SUCCEEDED
