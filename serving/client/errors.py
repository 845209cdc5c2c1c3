"""Everything that may come of a call instead of an answer.

ClientError
├── CallerError              what was asked is wrong; asking again changes nothing
│   ├── InvalidInput         does not fit the model
│   ├── RowsRefused          fits, but the model cannot predict it
│   ├── NoProbabilities
│   ├── TooLarge
│   ├── UnknownModel
│   ├── UnknownVersion
│   ├── UnknownJob
│   ├── JobConflict          not with a job in that state
│   │   └── JobNotEnded      it has no result yet
│   ├── KeyReused            one Idempotency-Key for two different requests
│   ├── NoJobs               the server takes none, or none of that kind
│   ├── UnsupportedMedia
│   ├── UnsupportedEncoding
│   ├── Unauthenticated      no key, or none that the server knows
│   └── Forbidden            this is not among the key's scopes
├── Busy                     the server's word for later; tried again until the time is up
│   ├── NotReady
│   ├── QueueFull
│   ├── RateExceeded         more requests a second than the key has
│   ├── AuthUnreachable      the server cannot check a token now
│   ├── TooManyConnections
│   ├── Stopping             the server ended before the answer was there
│   ├── JobsFull
│   └── JobsUnreachable      what the server keeps jobs in does not answer
├── Unreachable              no connection, or one that broke off; tried again too
├── DeadlineExpired          the time given to the call is up
│   └── WaitExpired          the time given to `wait` is; the job goes on
├── JobFailed                the job has ended, and there will be no result
└── ServerFailed             theirs; their log has the cause under the request id
    ├── PredictionFailed
    └── UnreadableAnswer     whoever answered is no Slipway server, or a proxy stands before it

A message is the server's reason, or one of ours; it never repeats a value that was sent. Pure.
"""

from typing import NamedTuple


class Source(NamedTuple):
    """Who answered, as far as that is known; empty where it is not."""

    model: str = ""
    version: str = ""
    request_id: str = ""


NOBODY = Source()


class ClientError(Exception):
    """`code` and `reason` are the server's where it gave them; `row` is counted from 1, in a stream.

    `attempts`: after how many of them it was raised.
    """

    code = "client-error"

    def __init__(
        self,
        reason: str,
        *,
        code: str = "",
        source: Source = NOBODY,
        row: int | None = None,
        retry_after: float = 0,
    ) -> None:
        """`retry_after`: the seconds that the server wants to be left alone."""
        super().__init__(reason)
        self.reason, self.row, self.retry_after = reason, row, retry_after
        self.attempts = 1
        self.code = code or self.code
        self.model, self.version, self.request_id = source

    def __str__(self) -> str:
        where = f"row {self.row}: " if self.row is not None else ""
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{where}{self.reason} ({self.code}{request})"


class CallerError(ClientError):
    code = "bad-request"


class InvalidInput(CallerError):
    code = "invalid-input"


class RowsRefused(CallerError):
    code = "rows-refused"


class NoProbabilities(CallerError):
    code = "no-probabilities"


class TooLarge(CallerError):
    code = "too-large"


class UnknownModel(CallerError):
    code = "unknown-model"


class UnknownVersion(CallerError):
    code = "unknown-version"


class UnknownJob(CallerError):
    code = "unknown-job"


class JobConflict(CallerError):
    code = "job-conflict"


class JobNotEnded(JobConflict):
    code = "job-not-ended"


class KeyReused(CallerError):
    code = "key-reused"


class NoJobs(CallerError):
    code = "no-jobs"


class UnsupportedMedia(CallerError):
    code = "unsupported-media-type"


class UnsupportedEncoding(CallerError):
    code = "unsupported-encoding"


class Unauthenticated(CallerError):
    code = "unauthenticated"


class Forbidden(CallerError):
    code = "forbidden"


class Busy(ClientError):
    code = "busy"


class NotReady(Busy):
    code = "not-ready"


class QueueFull(Busy):
    code = "queue-full"


class RateExceeded(Busy):
    code = "rate-exceeded"


class AuthUnreachable(Busy):
    code = "auth-unreachable"


class TooManyConnections(Busy):
    code = "too-many-connections"


class Stopping(Busy):
    code = "stopping"


class JobsFull(Busy):
    code = "jobs-full"


class JobsUnreachable(Busy):
    code = "jobs-unreachable"


class Unreachable(ClientError):
    code = "unreachable"


class DeadlineExpired(ClientError):
    code = "deadline-expired"

    def __init__(self, reason: str = "the time given to this call is up", **known: object) -> None:
        super().__init__(reason, **known)  # type: ignore[arg-type]  # as there


class WaitExpired(DeadlineExpired):
    """`job_id`: of the one that goes on."""

    code = "wait-expired"

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"the time given to this wait is up; the job is {state} and goes on")
        self.job_id = job_id


class JobFailed(ClientError):
    """`state` is failed, dead, cancelled or expired; `code` and `reason` are the job's."""

    code = "job-failed"

    def __init__(self, reason: str, *, code: str, source: Source, job_id: str, state: str) -> None:
        super().__init__(reason, code=code, source=source)
        self.job_id, self.state = job_id, state


class ServerFailed(ClientError):
    code = "server-failed"


class PredictionFailed(ServerFailed):
    code = "prediction-failed"


class UnreadableAnswer(ServerFailed):
    code = "unreadable-answer"


_NAMED: dict[str, type[ClientError]] = {
    kind.code: kind
    for kind in (
        CallerError,
        InvalidInput,
        RowsRefused,
        NoProbabilities,
        TooLarge,
        UnknownModel,
        UnknownVersion,
        UnknownJob,
        JobConflict,
        JobNotEnded,
        KeyReused,
        NoJobs,
        UnsupportedMedia,
        UnsupportedEncoding,
        Unauthenticated,
        Forbidden,
        Busy,
        NotReady,
        QueueFull,
        RateExceeded,
        AuthUnreachable,
        TooManyConnections,
        Stopping,
        JobsFull,
        JobsUnreachable,
        DeadlineExpired,
        PredictionFailed,
    )
}


def kind_of(code: str, otherwise: type[ClientError]) -> type[ClientError]:
    """The error that a server means by `code`; `otherwise` for a code that is not known here."""
    return _NAMED.get(code, otherwise)
