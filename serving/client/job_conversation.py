"""What is said about jobs: submit one, look at it until it has ended, fetch its result. Steps, as in `attempts.py`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from serving.client import given, kept
from serving.client.attempts import Deadline, Steps, Wait
from serving.client.conversation import Conversation
from serving.client.errors import (
    Busy,
    ClientError,
    DeadlineExpired,
    JobConflict,
    JobFailed,
    JobNotEnded,
    Source,
    Unreachable,
    WaitExpired,
)
from serving.client.interface import Interface
from serving.client.job import Job
from serving.client.job_answers import Page, Place, Told
from serving.client.over_http import body, encoded, names_a_model
from serving.client.over_jobs import Files, Order, OverJobs, Wanted, fetches

FIRST_SECONDS, LONGEST_SECONDS, GROWTH = 0.1, 30.0, 1.25
"""Between two looks at a job: about a quarter of the time it has been waited for, so that a short one is not waited for
much longer than it takes, and a long one seldom looked at. Retry-After comes on top."""
LAST_LOOK_SECONDS = 1.0
"""For a look when the time is up."""
PATIENCE_SECONDS = 60.0
"""How long a wait goes on while the server, which answered before, does not: it may be replaced just now."""

Seen = Callable[[Job], object]
Asked = Job | str
"""A job, or its id."""


class JobConversation:
    """About the jobs of one model."""

    def __init__(self, conversation: Conversation, model: str | None) -> None:
        """`model`: None is the server's first one."""
        self._conversation, self._attempts, self._model = conversation, conversation.attempts, model

    def submit(self, rows: Any, params: Mapping[str, Any], order: Order, seconds: float | None) -> Steps[Job]:
        """`rows` as `given.read` takes them."""
        read, deadline = given.read(rows), self._attempts.until(seconds)
        over = yield from self._over(None, deadline)

        def asks(interface: Interface | None) -> Any:
            return over.submits(body(read.rows, interface, params), order)

        told: Told = yield from self._conversation.fitting(read.rows, asks, deadline)
        return replace(told.job, natural=read.natural)

    def submit_file(self, files: Files, order: Order, seconds: float | None) -> Steps[Job]:
        deadline = self._attempts.until(seconds)
        over = yield from self._over(None, deadline)
        told: Told = yield from self._attempts.tried(over.submits(encoded(asdict(files)), order), deadline)
        return told.job

    def look(self, job: Asked, seconds: float | None) -> Steps[Job]:
        return (yield from self._looked(job, self._attempts.until(seconds))).job

    def wait(self, job: Asked, patience: float | None, seconds: float | None, seen: Seen | None) -> Steps[Job]:
        """Until it has ended. `patience`: seconds for all of it; `seconds`: for a look. WaitExpired."""
        deadline, bound = self._attempts.until(patience), FIRST_SECONDS
        told = yield from self._looked(job, self._for_a_look(deadline, seconds))
        heard = self._attempts.clock()
        met: ClientError | None = None
        while True:
            if met is None and seen is not None:
                seen(told.job)
            if told.job.ended:
                return told.job
            left = deadline.left()
            if left is not None and left <= 0:
                raise WaitExpired(told.job.id, told.job.state) from met
            pause = told.retry_after + bound * (1 + self._attempts.chance()) / 2
            yield Wait(pause if left is None else min(pause, left))
            bound = min(LONGEST_SECONDS, bound * GROWTH)
            try:
                told = yield from self._looked(job, self._for_a_look(deadline, seconds))
                heard, met = self._attempts.clock(), None
            except (Busy, Unreachable, DeadlineExpired) as error:
                met = error
                if self._attempts.clock() - heard > PATIENCE_SECONDS:
                    raise

    def result(self, job: Asked, seconds: float | None) -> Steps[Any]:
        """What `predict` would have given for the rows. JobNotEnded; JobFailed. ImportError: Parquet, no pyarrow."""
        deadline = self._attempts.until(seconds)
        over = yield from self._over(job, deadline)
        try:
            found: list[Any] | Place = yield from self._attempts.tried(over.result(_id(job)), deadline)
        except JobNotEnded:
            raise
        except JobConflict as error:
            now = (yield from self._looked(job, deadline)).job
            if not now.ended or now.succeeded:  # since, by somebody else
                raise
            raise _failed(now, error.request_id) from error
        if isinstance(found, Place):
            found = yield from self._fetched(found, deadline)
        return job.natural(found) if isinstance(job, Job) else found

    def cancel(self, job: Asked, seconds: float | None) -> Steps[Job]:
        deadline = self._attempts.until(seconds)
        over = yield from self._over(job, deadline)
        told: Told = yield from self._attempts.tried(over.cancels(_id(job)), deadline)
        return _same(job, told).job

    def retry(self, job: Asked, seconds: float | None) -> Steps[Job]:
        deadline = self._attempts.until(seconds)
        over = yield from self._over(job, deadline)
        try:
            told: Told = yield from self._attempts.tried(over.retries(_id(job)), deadline)
        except JobConflict as error:
            # An attempt whose answer was lost may be what has queued it.
            found = yield from self._looked(job, deadline)
            if error.attempts == 1 or found.job.ended:
                raise
            return found.job
        return _same(job, told).job

    def page(self, wanted: Wanted, seconds: float | None) -> Steps[Page]:
        deadline = self._attempts.until(seconds)
        over = yield from self._over(None, deadline)
        found: Page = yield from self._attempts.tried(over.lists(wanted), deadline)
        return found

    def _looked(self, job: Asked, deadline: Deadline) -> Steps[Told]:
        over = yield from self._over(job, deadline)
        told: Told = yield from self._attempts.tried(over.looks(_id(job)), deadline)
        return _same(job, told)

    def _for_a_look(self, deadline: Deadline, seconds: float | None) -> Deadline:
        """The last one too has time to be answered."""
        left = deadline.left()
        bounds = [
            each for each in (seconds, None if left is None else max(left, LAST_LOOK_SECONDS)) if each is not None
        ]
        return self._attempts.until(min(bounds, default=None))

    def _fetched(self, place: Place, deadline: Deadline) -> Steps[list[Any]]:
        read = kept.reader(place.media_type)
        try:
            content: bytes = yield from self._attempts.tried(fetches(place), deadline)
        except Unreachable as error:
            raise Unreachable("the place on S3 where the result is kept cannot be reached from here") from error
        return read(content)

    def _over(self, job: Asked | None, deadline: Deadline) -> Steps[OverJobs]:
        if isinstance(job, Job):
            return OverJobs(job.model)
        if self._model is None:
            self._model = yield from self._attempts.tried(names_a_model(), deadline)
        return OverJobs(str(self._model))


def _id(job: Asked) -> str:
    return job.id if isinstance(job, Job) else job


def _same(job: Asked, told: Told) -> Told:
    """With what its result is to be made into, which the server does not know."""
    return told._replace(job=replace(told.job, natural=job.natural)) if isinstance(job, Job) else told


def _failed(job: Job, request_id: str) -> JobFailed:
    source = Source(job.model, "" if job.version is None else str(job.version), request_id)
    reason = f"the job is {job.state}" + (f": {job.reason}" if job.reason else "")
    return JobFailed(reason, code=job.code, source=source, job_id=job.id, state=job.state)
