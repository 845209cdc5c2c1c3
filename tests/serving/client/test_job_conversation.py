"""What is said about a job, step by step, with no network and no time passing by itself."""

import json
from collections.abc import Callable, Generator
from typing import Any

import pytest

from serving.client import (
    Busy,
    InvalidInput,
    Job,
    JobConflict,
    JobFailed,
    JobNotEnded,
    NoJobs,
    Retry,
    Unreachable,
    UnreadableAnswer,
    WaitExpired,
)
from serving.client.attempts import Send, Wait
from serving.client.conversation import Conversation
from serving.client.job_conversation import LONGEST_SECONDS, PATIENCE_SECONDS, JobConversation
from serving.client.over_http import OverHttp, Request
from serving.client.over_jobs import Files, Order
from serving.client.problems import Response
from tests.fakes import Clock

PATH = "/v1/models/iris/jobs"

Answers = Callable[[Request], Response]


class Met:
    """A conversation at its other end: time passes when it waits, and `answers` gives what comes to a request."""

    def __init__(
        self, answers: Callable[[Request], Response], *, attempts: int = 1, model: str | None = "iris"
    ) -> None:
        self.clock, self._answers = Clock(), answers
        talk = Conversation(OverHttp(model), Retry(attempts=attempts), clock=self.clock, chance=lambda: 1)
        self.jobs = JobConversation(talk, model)
        self.asked: list[Request] = []
        self.pauses: list[float] = []

    def run(self, steps: Generator[Send | Wait, Any, Any]) -> Any:
        given: Any = None
        take = steps.send
        while True:
            try:
                step = take(given)
            except StopIteration as end:
                return end.value
            take, given = steps.send, None
            if isinstance(step, Wait):
                self.pauses.append(step.seconds)
                self.clock.now += step.seconds
                continue
            self.asked.append(step.request)
            try:
                given = self._answers(step.request)
            except Unreachable as error:
                take, given = steps.throw, error


def a_status(state: str = "queued", **changes: Any) -> dict[str, Any]:
    ended = None if state in {"queued", "running"} else 5
    times = {"accepted_ms": 1, "started_ms": None, "ended_ms": ended, "expires_ms": 9}
    rows = {"rows_done": 0, "rows_total": 2}
    return {"id": "j1", "model": "iris", "version": 7, "state": state, **rows, **times, **changes}


def told(state: str = "queued", status: int = 200, *, retry_after: str = "", **changes: Any) -> Response:
    headers = {"retry-after": retry_after} if retry_after else {}
    return Response(status, headers, json.dumps(a_status(state, **changes)).encode())


def problem(status: int, code: str, reason: str = "because") -> Response:
    body = {"type": f"urn:slipway:problem:{code}", "detail": reason}
    return Response(status, {"content-type": "application/problem+json"}, json.dumps(body).encode())


def turns(*responses: Response | Exception) -> Callable[[Request], Response]:
    """One after the other; the last one again and again."""
    left = list(responses)

    def answer(_request: Request) -> Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def test_a_request_that_may_have_been_heard_is_repeated_under_the_same_key() -> None:
    met = Met(turns(Unreachable("broke off"), problem(503, "jobs-full"), told(status=202)), attempts=3)

    job = met.run(met.jobs.submit([{"x": 1}], {}, Order(), 30))

    assert (job.id, job.state, job.version, job.rows_total) == ("j1", "queued", 7, 2)
    assert [each.path for each in met.asked] == [PATH] * 3
    assert len({each.headers["idempotency-key"] for each in met.asked}) == 1


def test_what_is_wanted_of_a_job_is_in_its_address_and_body() -> None:
    met = Met(turns(told(status=202)))
    order = Order("latest", "mine", "https://example.org/?a=1&b=2")

    met.run(met.jobs.submit([{"x": 1}], {"predict_proba": True}, order, 30))

    (asked,) = met.asked
    assert asked.path == f"{PATH}?version=latest&callback=https%3A%2F%2Fexample.org%2F%3Fa%3D1%26b%3D2"
    assert asked.headers["idempotency-key"] == "mine"
    assert json.loads(asked.body) == {"dataframe_records": [{"x": 1}], "params": {"predict_proba": True}}


def test_a_job_on_files_names_them_in_its_body() -> None:
    met = Met(turns(told(status=202)))

    met.run(met.jobs.submit_file(Files("s3://a/rows.csv", "s3://a/out.csv", ("id",)), Order(7, "mine"), 30))

    (asked,) = met.asked
    assert (asked.path, asked.headers["idempotency-key"]) == (f"{PATH}?version=7", "mine")
    files = {"input": "s3://a/rows.csv", "output": "s3://a/out.csv"}
    assert json.loads(asked.body) == {**files, "keys": ["id"], "predict_proba": False}


@pytest.mark.parametrize("key", ["", "a" * 256, "é", "a\nb"])
def test_a_key_that_no_header_holds_is_refused_here(key: str) -> None:
    with pytest.raises(InvalidInput, match="a key has 1 to 255 printable characters") as refusal:
        Order(key=key)

    assert key == "" or key not in str(refusal.value)


def test_a_client_of_no_model_asks_once_which_there_is() -> None:
    def answers(request: Request) -> Response:
        return Response(200, {}, b'{"models": ["iris", "wine"]}') if request.path == "/v2" else told("succeeded")

    met = Met(answers, model=None)
    for _ in range(2):
        met.run(met.jobs.look("j1", 30))

    assert [each.path for each in met.asked] == ["/v2", f"{PATH}/j1", f"{PATH}/j1"]


def test_a_job_is_looked_for_at_its_own_model() -> None:
    met = Met(turns(told("succeeded", model="wine/2")), model=None)
    job = Job("j/1", "wine/2", "queued", 7, 0, None, 0, 1, None, None, 9, "", "", "")

    met.run(met.jobs.look(job, 30))

    assert [each.path for each in met.asked] == ["/v1/models/wine%2F2/jobs/j%2F1"]


def test_pauses_grow_to_a_bound_and_what_the_server_says_comes_on_top() -> None:
    met = Met(turns(*[told("running", retry_after="1")] * 60, told("succeeded")))

    assert met.run(met.jobs.wait("j1", None, 30, None)).succeeded

    assert met.pauses[0] == pytest.approx(1.1)
    assert all(one <= other for one, other in zip(met.pauses, met.pauses[1:], strict=False))
    assert met.pauses[-1] == pytest.approx(1 + LONGEST_SECONDS)


def test_a_long_wait_is_cheap_and_ends_soon_after_the_job() -> None:
    hours = 3 * 3600
    met: Met = Met(lambda _: told("succeeded" if met.clock.now - began >= hours else "running"))
    began = met.clock.now

    met.run(met.jobs.wait("j1", None, 30, None))

    assert len(met.asked) < 400
    assert met.clock.now - began < hours + LONGEST_SECONDS + 1


def test_who_waits_is_shown_each_look() -> None:
    met, seen = Met(turns(told("queued", position=3), told("running", rows_done=1), told("failed"))), list[Job]()

    job = met.run(met.jobs.wait("j1", None, 30, seen.append))

    assert [(each.state, each.position, each.rows_done) for each in seen] == [
        ("queued", 3, 0),
        ("running", None, 1),
        ("failed", None, 0),
    ]
    assert job == seen[-1]


def test_when_the_time_is_up_the_job_goes_on() -> None:
    met = Met(turns(told("running", retry_after="1")))
    began = met.clock.now

    with pytest.raises(WaitExpired, match="the job is running and goes on") as expired:
        met.run(met.jobs.wait("j1", 5, 30, None))

    assert met.clock.now - began == pytest.approx(5)
    assert expired.value.job_id == "j1"


def test_no_time_at_all_is_one_look() -> None:
    met = Met(turns(told("running")))

    with pytest.raises(WaitExpired):
        met.run(met.jobs.wait("j1", 0, 30, None))

    assert (len(met.asked), met.pauses) == (1, [])


def test_a_server_that_is_away_for_a_while_ends_no_wait() -> None:
    away = [Unreachable("nobody there")] * 5
    met = Met(turns(told("running"), *away, problem(503, "jobs-unreachable"), told("succeeded")))

    assert met.run(met.jobs.wait("j1", None, 30, None)).succeeded


def test_a_server_that_stays_away_does() -> None:
    met = Met(turns(told("running"), Unreachable("nobody there")))
    began = met.clock.now

    with pytest.raises(Unreachable):
        met.run(met.jobs.wait("j1", None, 30, None))

    assert PATIENCE_SECONDS < met.clock.now - began < PATIENCE_SECONDS + LONGEST_SECONDS + 1


def test_a_server_that_was_never_there_is_told_at_once() -> None:
    met = Met(turns(Unreachable("nobody there")))

    with pytest.raises(Unreachable):
        met.run(met.jobs.wait("j1", None, 30, None))

    assert met.pauses == []


def test_a_job_that_ended_badly_has_no_result_but_a_reason() -> None:
    def answers(request: Request) -> Response:
        if request.path.endswith("/result"):
            return problem(409, "job-conflict")
        return told("failed", code="rows-refused", reason="row 3: not below 0")

    met = Met(answers)

    with pytest.raises(JobFailed, match="the job is failed: row 3: not below 0") as failed:
        met.run(met.jobs.result("j1", 30))

    error = failed.value
    assert (error.state, error.code, error.job_id, error.version) == ("failed", "rows-refused", "j1", "7")


def test_a_job_that_is_cancelled_says_so() -> None:
    def answers(request: Request) -> Response:
        return problem(409, "job-conflict") if request.path.endswith("/result") else told("cancelled")

    met = Met(answers)

    with pytest.raises(JobFailed, match=r"^the job is cancelled \(job-failed\)$"):
        met.run(met.jobs.result("j1", 30))


def test_a_job_that_goes_on_has_no_result_yet() -> None:
    met = Met(turns(problem(409, "job-not-ended")))

    with pytest.raises(JobNotEnded):
        met.run(met.jobs.result("j1", 30))

    assert len(met.asked) == 1


def test_a_result_elsewhere_is_fetched_with_nothing_of_ours() -> None:
    place = "http://s3.example.org/bucket/key?signature=abc"

    def answers(request: Request) -> Response:
        if request.elsewhere:
            return Response(200, {}, b'{"predictions": [1, 2]}')
        return Response(303, {"location": place}, b'{"media_type": "application/json"}')

    met = Met(answers)

    assert met.run(met.jobs.result("j1", 30)) == [1, 2]
    assert met.asked[-1] == Request("GET", place, {}, elsewhere=True)


@pytest.mark.parametrize(
    ("last", "kind", "reason"),
    [
        (Unreachable("broke off"), Unreachable, "the place on S3 where the result is kept cannot be reached from here"),
        (Response(503, {}, b"<Error/>"), Busy, "status 503"),
    ],
)
def test_a_place_that_does_not_answer_is_told_apart(
    last: Response | Exception, kind: type[Exception], reason: str
) -> None:
    first = Response(303, {"location": "http://s3.example.org/key"}, b'{"media_type": "application/json"}')
    met = Met(turns(first, last))

    with pytest.raises(kind, match=reason):
        met.run(met.jobs.result("j1", 30))


@pytest.mark.parametrize(
    "answer",
    [
        Response(303, {"location": "file:///etc/passwd"}, b'{"media_type": "application/json"}'),
        Response(303, {}, b"{}"),
        Response(200, {}, b"<html>"),
    ],
)
def test_an_answer_that_is_no_result_is_told_as_that(answer: Response) -> None:
    met = Met(turns(answer))

    with pytest.raises(UnreadableAnswer):
        met.run(met.jobs.result("j1", 30))

    assert len(met.asked) == 1


def test_queueing_again_twice_because_an_answer_was_lost_is_no_conflict() -> None:
    met = Met(turns(Unreachable("broke off"), problem(409, "job-conflict"), told("queued")), attempts=2)

    assert met.run(met.jobs.retry("j1", 30)).state == "queued"


def test_queueing_a_job_again_that_is_queued_is_one() -> None:
    met = Met(turns(problem(409, "job-conflict"), told("queued")), attempts=2)

    with pytest.raises(JobConflict):
        met.run(met.jobs.retry("j1", 30))


def test_a_server_without_jobs_is_told_as_that() -> None:
    met = Met(turns(problem(404, "not-found", "Not Found")))

    with pytest.raises(NoJobs, match="this server takes no jobs"):
        met.run(met.jobs.look("j1", 30))


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>secret</html>", b'{"id": "j1"}'])
def test_a_status_that_is_not_whole_is_told_and_not_repeated(body: bytes) -> None:
    met = Met(turns(Response(200, {}, body)))

    with pytest.raises(UnreadableAnswer) as refusal:
        met.run(met.jobs.look("j1", 30))

    assert "secret" not in str(refusal.value)
