"""What a job is: a request that is answered later. Plain data, and the words for what becomes of it.

    queued ──> running ──> succeeded
      │           ├──────> failed      its input is at fault; the reason names the row where one is
      │           └──────> dead        given up on: the model, or what it needs, failed too often
      ├───────────┴──────> cancelled   by the caller
      └───────────┴──────> expired     not ended in time

What has ended badly can be queued again. Every way into a state is one conditional UPDATE (`tables.py`), so that a job
ends once, whoever works at it.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from serving.protocol import Version

State = Literal["queued", "running", "succeeded", "failed", "dead", "cancelled", "expired"]
STATES: tuple[State, ...] = get_args(State)
OPEN: tuple[State, ...] = ("queued", "running")
RETRIED: tuple[State, ...] = ("failed", "dead", "cancelled", "expired")
"""What can be queued again."""

LATEST = "latest"


@dataclass(frozen=True)
class Body:
    """What `/invocations` takes: here, or on S3 where it is too large for the database."""

    media_type: str
    content: bytes | None = None
    uri: str | None = None


@dataclass(frozen=True)
class Files:
    """A file of rows, and the one to be written."""

    source: str
    target: str
    keys: tuple[str, ...] = ()
    """Columns of the input that stand beside the predictions."""
    probabilities: bool = False


@dataclass(frozen=True)
class Origin:
    """The request that a job came with."""

    request_id: str = ""
    traceparent: str = ""
    """https://www.w3.org/TR/trace-context/; empty where it is not traced."""
    tracestate: str = ""


NO_ORIGIN = Origin()


@dataclass(frozen=True)
class Order:
    """What a caller asks for, as it was accepted."""

    model: str
    version: Version | None
    """None: whichever is Production when the job is worked at."""
    asked: Body | Files
    rows: int | None = None
    """How many there are, where that is known by now."""
    key: str | None = None
    """The caller's own name for it (Idempotency-Key)."""
    fingerprint: str = ""
    """Of all that was asked: the same key with another one is a mistake."""
    callback: str | None = None
    origin: Origin = NO_ORIGIN


@dataclass(frozen=True)
class Stored:
    """A result on S3."""

    uri: str
    media_type: str
    rows: int


@dataclass(frozen=True)
class Terms:
    """What jobs are taken on."""

    expire_seconds: float = 86_400
    """From when it is queued until it is given up on."""
    keep_seconds: float = 86_400
    """From its end until it is forgotten."""
    most_waiting: int = 100_000


@dataclass(frozen=True)
class Inline:
    """A result that is in the database: MLflow's JSON answer."""

    content: bytes
    rows: int


Result = Stored | Inline


@dataclass(frozen=True)
class Outcome:
    """How work at a job ended."""

    state: State
    version: int | None = None
    """The number of the one that answered, or should have."""
    result: Result | None = None
    code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Status:
    """What a caller is told. Times are milliseconds since the epoch."""

    id: str
    model: str
    version: int | None
    state: State
    rows_done: int
    rows_total: int | None
    position: int | None
    """How many jobs are before it; None when it is not queued."""
    starts: int
    """How often somebody began to work at it."""
    accepted_ms: int
    started_ms: int | None
    ended_ms: int | None
    expires_ms: int
    """When it is given up on; of an ended one, when it is forgotten."""
    code: str
    reason: str
    callback: Literal["waiting", "delivered", "failed"] | None
    """What became of the callback; None where there is none."""


@dataclass(frozen=True)
class Wanted:
    """Which jobs are listed, the newest first. `before`: what the page before says under `next`."""

    state: State | None = None
    version: int | None = None
    limit: int = 50
    before: int | None = None


@dataclass(frozen=True)
class Figures:
    """Of all jobs of one model."""

    model: str
    queued: int
    running: int
    oldest_ms: int | None
    """When the one that has been queued longest was queued."""
    ended: dict[str, int]
    """By state, ever since."""
    rows: int
    """Predicted by jobs that succeeded, ever since."""


def workflow_id(job: str, generation: int) -> str:
    """The name of one try to answer a job; it has another when it is queued again."""
    return f"{job}-{generation}"
