"""What DBOS does for jobs: hand each to one worker, and hand it on when that worker is gone.

Two workflows. One works at a job: a single step, which DBOS repeats with growing waits while it raises; where it never
came to an end, the job is dead. The other calls back. Whether a job still wants to be worked at, and that it ends once,
is for `jobs/turns.py` to decide, so that a try which DBOS repeats, or two workers at one job, change nothing.

DBOS keeps one instance a process, and so this module's functions say what that one does.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from dbos import error as dbos_errors

from serving import logs
from serving.errors import JobsUnreachable, ServingError
from serving.jobs.callbacks import Caller, NotDelivered
from serving.jobs.job import Outcome, workflow_id
from serving.jobs.schema import CALL, CALLBACKS, QUEUE, RELEASE, WORK
from serving.jobs.told import told
from serving.jobs.turns import Turns, Work
from serving.working.predicting import NobodyWaits, Tell

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 0.05
"""Between two looks for jobs; what a job waits at most while a worker is idle."""
CALLBACK_POLL_SECONDS = 0.5
CALLBACKS_AT_ONCE = 8
CALLBACK_WAIT_SECONDS = 2
AWAY_SECONDS = 1.0
"""Between two tries to reach the jobs' database."""
TWICE = 2.0
"""How much longer each wait is than the one before."""
_WORST_CASE = "the job was begun {} times and never ended; it may be what ends its workers (SERVING_JOBS__MOST_STARTS)"


@dataclass(frozen=True)
class Terms:
    at_once: int = 8
    attempts: int = 5
    backoff_seconds: float = 2
    most_starts: int = 20
    callback_attempts: int = 8


_never = threading.Event()

Answer = Callable[[Work, Tell], Outcome]
"""How a job is answered: `predicting.outcome`."""


def start(name: str, turns: Turns, answer: Answer, caller: Caller | None, terms: Terms) -> None:
    """Work at jobs from now on, as the worker `name`: what it had when it was killed is begun again at once."""
    config: DBOSConfig = {
        "name": "slipway",
        "system_database_url": turns.address,
        "executor_id": name,
        "application_version": RELEASE,
        "serializer": DBOSPortableJSONSerializer(),
        "use_listen_notify": False,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    _register(turns, answer, caller, terms)
    DBOS.listen_queues([QUEUE, CALLBACKS])
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=terms.at_once, polling_interval_sec=POLL_SECONDS)
    DBOS.register_queue(CALLBACKS, worker_concurrency=CALLBACKS_AT_ONCE, polling_interval_sec=CALLBACK_POLL_SECONDS)


def stop(seconds: int) -> None:
    """Begin nothing more, and give what runs so long; what has not ended then is begun again by whoever comes next."""
    DBOS.destroy(workflow_completion_timeout_sec=seconds)


def _register(turns: Turns, answer: Answer, caller: Caller | None, terms: Terms) -> None:
    @DBOS.step(
        name="answer",
        retries_allowed=True,
        max_attempts=terms.attempts,
        interval_seconds=terms.backoff_seconds,
        backoff_rate=TWICE,
    )
    def answered(name: str, generation: int) -> str:
        return _answered(turns, answer, terms, (name, generation))

    @DBOS.workflow(name=WORK)
    def work(name: str, generation: int) -> str:
        try:
            return answered(name, generation)
        except dbos_errors.DBOSMaxStepRetriesExceeded as error:
            code, reason = _why(error)
            outcome = Outcome("dead", code=code, reason=f"{reason} ({terms.attempts} attempts)")
            _patiently(lambda: turns.end(name, generation, outcome))
            return "dead"

    @DBOS.step(
        name="call",
        retries_allowed=True,
        max_attempts=terms.callback_attempts,
        interval_seconds=CALLBACK_WAIT_SECONDS,
        backoff_rate=TWICE,
    )
    def called(name: str, generation: int) -> None:
        _called(turns, caller, name, generation)

    @DBOS.workflow(name=CALL)
    def call_back(name: str, generation: int) -> bool:
        try:
            called(name, generation)
        except dbos_errors.DBOSMaxStepRetriesExceeded as error:
            reason = str(error.errors[-1]) if error.errors else ""
            log.warning("callback given up", extra={"job": name, "reason": reason})
            _patiently(lambda: turns.called(name, generation, delivered=False))
            return False
        _patiently(lambda: turns.called(name, generation, delivered=True))
        return True


def _answered(turns: Turns, answer: Answer, terms: Terms, which: tuple[str, int]) -> str:
    """What became of it. Raises where it is to be tried again."""
    name, generation = which
    job = _patiently(lambda: turns.begin(name, generation))
    if job is None:
        return "nobody waits"
    if job.starts > terms.most_starts:
        outcome = Outcome("dead", code="never-ended", reason=_WORST_CASE.format(job.starts - 1))
    else:
        try:
            outcome = answer(job, _telling(turns, name, generation))
        except NobodyWaits:
            return "nobody waits"
        except Exception as error:
            extra = {**_about(job), "cause": logs.where(error.__cause__ or error)}
            log.warning("job failed", extra=extra)
            raise
    ended = _patiently(lambda: turns.end(name, generation, outcome))
    version = {} if outcome.version is None else {"version": outcome.version}
    log.info("job ended", extra={**_about(job), **version, "state": outcome.state, "counted": ended})
    return outcome.state


def _about(job: Work) -> dict[str, object]:
    """Whose it is, for a line of the log."""
    order = job.order
    found: dict[str, object] = {"job": job.id, "model": order.model}
    found |= {} if order.version is None else {"version": order.version.number}
    found |= {"request_id": order.origin.request_id} if order.origin.request_id else {}
    parts = order.origin.traceparent.split("-")
    return found | ({"trace_id": parts[1]} if len(parts) == 4 else {})


def _called(turns: Turns, caller: Caller | None, name: str, generation: int) -> None:
    """NotDelivered."""
    found = _patiently(lambda: turns.caller(name, generation))
    if found is None:
        return
    if caller is None:
        raise NotDelivered("SERVING_JOBS__CALLBACK_SECRET is not set here")
    status, url = found
    caller.call(url, workflow_id(name, generation), msgspec.json.encode(told(status)), int(time.time()))


def _telling(turns: Turns, name: str, generation: int) -> Tell:
    def tell(done: int, total: int | None) -> bool:
        try:
            return turns.progress(name, generation, done, total)
        except JobsUnreachable:  # nobody has said that it is not waited for
            return True

    return tell


def _patiently(call: Callable[[], T]) -> T:
    """A database that is away for a while ends no job: what was computed is kept until it can be told."""
    while True:
        try:
            return call()
        except JobsUnreachable:
            _never.wait(AWAY_SECONDS)


def _why(error: dbos_errors.DBOSMaxStepRetriesExceeded) -> tuple[str, str]:
    """Code and sentence for the caller: of our own errors only, for others may repeat what was sent."""
    last = error.errors[-1] if error.errors else None
    if isinstance(last, ServingError):
        return last.code, str(last)
    return "internal-error", "something went wrong here; the log has the cause under the job's id"
