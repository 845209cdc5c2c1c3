"""Everything serving may refuse to do.

ServingError
├── CallerError              the caller can fix it and retry
│   ├── Unauthenticated      no key or token, or none that is known
│   ├── Forbidden            known, but this is not among its scopes
│   ├── NotAuthentic         a webhook that is not MLflow's, or too old
│   ├── UnknownModel
│   ├── UnknownVersion
│   ├── UnsupportedMedia
│   ├── UnsupportedEncoding
│   ├── TooLarge
│   ├── InvalidInput         does not fit the signature
│   ├── NoProbabilities
│   ├── UnknownJob
│   ├── JobConflict          not with a job in that state
│   │   └── JobNotEnded
│   ├── KeyReused            one Idempotency-Key for two different requests
│   ├── NoJobs               this server takes none, or none of that kind
│   └── RowsRefused          fits the signature, but the model cannot predict it
├── Busy                     nobody's fault; retry later
│   ├── NotReady
│   ├── QueueFull
│   ├── RateExceeded         more requests a second than this caller has
│   ├── AuthUnreachable      the keys of the tokens' issuer
│   ├── TooManyConnections
│   ├── Stopping             this server ended before the answer was there
│   ├── JobsFull
│   └── JobsUnreachable      the jobs' database, or their place on S3
├── DeadlineExpired          the caller's own time limit
├── PredictionFailed         ours; the caller gets the code, the log gets the cause
└── FollowFailed             met while following the registry, never by a caller
    ├── RegistryUnreachable
    ├── NotPosted            the lineup cannot be written
    ├── NoLongerWanted       another version is wanted by now
    └── VersionRefused
        └── OutOfRoom        the store's disk is full

A message never repeats what the caller sent.
"""


class ServingError(Exception):
    code = "serving-error"
    ours = True
    """Is it this server that could not answer? Whoever runs it wants to know, on every transport alike."""


class CallerError(ServingError):
    code = "bad-request"
    ours = False


class Unauthenticated(CallerError):
    code = "unauthenticated"


class Forbidden(CallerError):
    code = "forbidden"

    def __init__(self, what: str) -> None:
        super().__init__(f"this key or token is not good {what}; whoever gave it to you gives scopes")


class NotAuthentic(CallerError):
    code = "not-authentic"


class UnknownModel(CallerError):
    code = "unknown-model"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"no such model here; this server follows {', '.join(names)}")


class UnknownVersion(CallerError):
    code = "unknown-version"

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"that version of '{name}' is not served here; version {number} is")


class UnsupportedMedia(CallerError):
    code = "unsupported-media-type"

    def __init__(self, supported: tuple[str, ...]) -> None:
        super().__init__(f"Content-Type must be one of {', '.join(supported)}, with no parameter but charset=utf-8")


class UnsupportedEncoding(CallerError):
    code = "unsupported-encoding"

    def __init__(self, supported: tuple[str, ...]) -> None:
        some = f"Content-Encoding must be one of {', '.join(supported)}" if supported else "lines come uncompressed"
        super().__init__(f"{some}; or leave Content-Encoding out")


class InvalidInput(CallerError):
    code = "invalid-input"


class TooLarge(CallerError):
    code = "too-large"


def too_many_rows(most: int) -> TooLarge:
    return TooLarge(f"a request may have {most} rows; more of them are for a job")


class NoProbabilities(CallerError):
    code = "no-probabilities"

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' has no predict_proba; it is not a classifier, or its flavour has none")


class RowsRefused(CallerError):
    code = "rows-refused"


class UnknownJob(CallerError):
    code = "unknown-job"

    def __init__(self) -> None:
        super().__init__("there is no such job of this model, or it was forgotten since")


class JobConflict(CallerError):
    code = "job-conflict"


class JobNotEnded(JobConflict):
    code = "job-not-ended"

    def __init__(self, state: str) -> None:
        super().__init__(f"the job is {state}; its result is there once it has succeeded")


class KeyReused(CallerError):
    code = "key-reused"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another request; a key names one request only")


class NoJobs(CallerError):
    code = "no-jobs"


class Busy(ServingError):
    code = "busy"
    retry_seconds: float = 1
    """When it is worth trying again."""


class NotReady(Busy):
    code = "not-ready"


class QueueFull(Busy):
    code = "queue-full"

    def __init__(self, waiting: int | None = None) -> None:
        """`waiting` rows; None: what is too much waits nowhere that it could be counted."""
        if waiting is None:
            super().__init__("more is asked here than can be answered")
        else:
            super().__init__(f"{waiting} rows are already waiting for this model")


class RateExceeded(Busy):
    code = "rate-exceeded"
    ours = False

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("this key or token has used up its requests a second")
        self.retry_seconds = wait_seconds


class AuthUnreachable(Busy):
    code = "auth-unreachable"

    def __init__(self) -> None:
        super().__init__("the token cannot be checked: its issuer's keys are not to be had now")


class TooManyConnections(Busy):
    code = "too-many-connections"

    def __init__(self) -> None:
        super().__init__("as many connections are open here as may be")


class Stopping(Busy):
    code = "stopping"

    def __init__(self) -> None:
        super().__init__("this server was stopped before the answer was there; ask again, another one may be here")


class JobsFull(Busy):
    code = "jobs-full"

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} jobs are waiting already")


class JobsUnreachable(Busy):
    code = "jobs-unreachable"

    def __init__(self, why: str) -> None:
        super().__init__(f"what jobs are kept in does not answer ({why}); nothing was changed")


class DeadlineExpired(ServingError):
    code = "deadline-expired"

    def __init__(self) -> None:
        super().__init__("the request's own time limit passed before the model answered")


class PredictionFailed(ServingError):
    code = "prediction-failed"

    def __init__(self) -> None:
        super().__init__("the model failed on this request; the server's log has the cause under the request id")


class FollowFailed(ServingError):
    code = "follow-failed"


class RegistryUnreachable(FollowFailed):
    code = "registry-unreachable"


class NotPosted(FollowFailed):
    code = "not-posted"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the lineup cannot be written to the store: {why}; what was posted before stays, "
            "and it is tried again at every poll"
        )


class NoLongerWanted(FollowFailed):
    """Nothing is wrong with the version, as far as anybody knows."""

    code = "no-longer-wanted"


class VersionRefused(FollowFailed):
    code = "version-refused"


class OutOfRoom(VersionRefused):
    code = "out-of-room"
