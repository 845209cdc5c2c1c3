"""How much is answered at once, what callers may take of a worker, and who hears a candidate."""

from typing import Annotated

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, StringConstraints

KEY_HEADER = "x-caller-key"
MOST_ROWS = 1_000_000


class Batching(BaseModel, frozen=True, extra="forbid"):
    """Rows that wait while a model is busy are predicted together."""

    max_rows: PositiveInt = 256
    """Rows, not requests: one request may carry many. A larger request goes alone."""

    max_bytes: PositiveInt = 4 << 20

    max_waiting_rows: PositiveInt = 10_000
    """Beyond it callers are told to come back later."""

    max_waiting_bytes: PositiveInt = 256 << 20

    max_waiting_seconds: PositiveFloat = 0.5
    """For a burst. In an overload, which is what fills this, nobody waits for more than a few calls of the model."""


class Limits(BaseModel, frozen=True, extra="forbid"):
    """What callers may take of a worker."""

    connections: PositiveInt = 4096
    """Open at a time over HTTP, and as many over gRPC, in one worker; who comes then is told to come back later."""

    head_seconds: PositiveFloat = 10
    """Until a request's head is here, from its first byte or from when the connection was made."""

    body_seconds: PositiveFloat = 30
    """In which a kilobyte more of a body must come, and more of an answer be taken."""

    lag_seconds: PositiveFloat = 0.1
    """In which all who ask could be answered, were they to ask at once; if not, a late loop refuses some."""

    idle_seconds: PositiveFloat = 75
    """How long a connection is kept that nothing is asked on. Proxies should keep theirs for less."""

    rows: PositiveInt = MOST_ROWS
    """Of one request; what has more is a job, or a file to score. A stream of lines may have any number."""

    rate: PositiveFloat | None = None
    """Requests a second of each key or token that has no rate of its own; none if not set."""

    burst: PositiveInt = 20
    """Requests that may come at once, when there were none for a while."""


class Candidate(BaseModel, frozen=True, extra="forbid"):
    """Who hears a canary, and when a candidate is taken out of traffic."""

    key_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$", to_lower=True)] = KEY_HEADER
    """The same caller always gets the same version; who sends no such header is told apart by the request's id."""

    max_error_rate: float = Field(default=0.02, ge=0, le=1)
    """Share of its requests that may fail beyond Production's own share."""

    max_p99_ratio: float = Field(default=2, ge=1)
    """How many times Production's p99 its own may be."""

    min_requests: PositiveInt = 50
    """Fewer say nothing of a p99."""
