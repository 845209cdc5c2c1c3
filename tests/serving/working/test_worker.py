import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import ROOT, Server, eventually
from tests.serving.jobs.listening import listening
from tests.serving.samples import read
from tests.serving.twins import post
from tests.serving.working.house import MODEL, House, ended, house, rows, submit, workers_of


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def http(built: House) -> Iterator[httpx.Client]:
    with built.serving() as found:
        yield found


@pytest.fixture(scope="module")
def workers(built: House, http: httpx.Client) -> Iterator[Server]:
    """Two of them; whoever asks for `waiting` asks before there are any."""
    with built.workers(SERVING_JOBS__WORKERS="2") as running:
        eventually(lambda: len(workers_of(running)) == 2)
        yield running


def test_a_job_without_a_worker_waits(built: House, http: httpx.Client) -> None:
    job = submit(http, 1.5)

    told = http.get(job["href"])

    assert told.json()["state"] == "queued"
    assert told.json()["position"] == 0
    assert eventually(lambda: http.get(job["href"]).headers.get("retry-after")) == "1"
    early = http.get(f"{job['href']}/result")
    assert (early.status_code, early.json()["type"]) == (409, "urn:slipway:problem:job-not-ended")
    assert http.delete(job["href"]).json()["state"] == "cancelled"


@pytest.mark.usefixtures("workers")
def test_a_job_is_answered_as_invocations_would(http: httpx.Client) -> None:
    job = submit(http, 1.5, 2.5)

    told = ended(http, job)

    assert (told["state"], told["version"], told["rows_done"], told["rows_total"]) == ("succeeded", 1, 2, 2)
    result = http.get(told["result"])
    now = http.post(f"/v1/models/{MODEL}/invocations", json=rows(1.5, 2.5))
    assert result.content == now.content
    assert result.headers["content-type"] == now.headers["content-type"]
    assert result.headers["x-model-version"] == "1"


@pytest.mark.usefixtures("workers")
def test_a_job_in_many_pieces_is_answered_as_invocations_would(http: httpx.Client) -> None:
    values = [float(number) for number in range(3000)]
    told = ended(http, submit(http, *values))

    result = http.get(told["result"])

    assert result.json()["predictions"] == values
    assert told["rows_done"] == 3000


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("path", ["/invocations", f"/v1/models/{MODEL}/invocations"])
def test_invocations_answers_later_where_that_is_preferred(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json=rows(1.5), headers={"prefer": "respond-async, wait=1"})

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    told = ended(http, answer.json())
    assert http.get(told["result"]).json() == {"predictions": [1.5]}
    assert http.post(path, json=rows(1.5), headers={"prefer": "handling=lenient"}).status_code == 200
    assert http.get(path, headers={"prefer": "respond-async"}).status_code == 405


@pytest.mark.usefixtures("workers")
def test_the_same_key_twice_is_one_job(http: httpx.Client) -> None:
    first, second = (submit(http, 7.0, headers={"idempotency-key": "once"}) for _ in range(2))

    assert first["id"] == second["id"]
    other = http.post(f"/v1/models/{MODEL}/jobs", json=rows(8.0), headers={"idempotency-key": "once"})
    assert (other.status_code, other.json()["type"]) == (409, "urn:slipway:problem:key-reused")


def test_a_body_that_does_not_fit_is_refused_as_at_invocations(http: httpx.Client) -> None:
    body = {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}

    answers = [http.post(path, json=body) for path in (f"/v1/models/{MODEL}/jobs", "/invocations")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v1/models/{MODEL}/jobs/none", 404, "unknown-job"),
        ("GET", f"/v1/models/{MODEL}/jobs/none/result", 404, "unknown-job"),
        ("DELETE", f"/v1/models/{MODEL}/jobs/none", 404, "unknown-job"),
        ("POST", f"/v1/models/{MODEL}/jobs/none/retry", 404, "unknown-job"),
        ("GET", "/v1/models/other/jobs", 404, "unknown-model"),
        ("POST", "/v1/models/other/jobs", 404, "unknown-model"),
        ("POST", f"/v1/models/{MODEL}/jobs?version=9", 404, "unknown-version"),
        ("POST", f"/v1/models/{MODEL}/jobs", 415, "unsupported-media-type"),
        ("GET", f"/v1/models/{MODEL}/jobs?state=lost", 400, "bad-request"),
        ("GET", f"/v1/models/{MODEL}/jobs?limit=0", 400, "bad-request"),
        ("GET", f"/v1/models/{MODEL}/jobs?version={2**63}", 400, "bad-request"),
        ("GET", f"/v1/models/{MODEL}/jobs?before={2**63}", 400, "bad-request"),
    ],
)
def test_what_is_wrong_is_said(http: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    answer = http.request(method, path)

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:slipway:problem:{code}")


@pytest.mark.slow
def test_the_latest_version_is_the_one_of_when_it_is_worked_at(tmp_path: Path) -> None:
    """And a job that is pinned to another one says what it lacks where there is no registry to have it from."""
    with house(tmp_path) as made, made.serving() as http:
        pinned, latest = submit(http, 1.5), submit(http, 1.5, version="latest")
        post(made.store, 2, factor=2)
        eventually(lambda: http.post("/invocations", json=rows(1.5)).json()["predictions"] == [3.0])
        with made.workers():
            told = [ended(http, job) for job in (pinned, latest)]

        assert http.get(told[1]["result"]).json() == {"predictions": [3.0]}
    assert [each["version"] for each in told] == [1, 2]
    assert (told[0]["state"], told[0]["code"]) == ("failed", "version-refused")
    assert "SERVING_OFFLINE" in told[0]["reason"]


@pytest.mark.usefixtures("workers")
def test_a_caller_is_told_of_the_end(http: httpx.Client) -> None:
    with listening() as listener:
        job = submit(http, 1.5, callback=listener.url)
        eventually(lambda: listener.messages)
        told = eventually(lambda: http.get(job["href"]).json()["callback"] == "delivered")

    assert told
    (message,) = listener.messages
    body = json.loads(message.body)
    assert (body["id"], body["state"]) == (job["id"], "succeeded")
    assert message.headers["webhook-id"].startswith(job["id"])


def test_a_cancelled_job_never_calls_back(built: House, http: httpx.Client, workers: Server) -> None:
    """However it meets the worker: some are cancelled before, some while it is running."""
    values = [float(number) for number in range(20_000)]
    with listening() as listener:
        jobs = [submit(http, *values, callback=listener.url) for _ in range(6)]
        cancelled = [job["id"] for job in jobs if http.delete(job["href"]).status_code == 200]
        for _ in range(6):
            jobs.append(job := submit(http, *values, callback=listener.url))
            cancelled += [job["id"]] if http.delete(job["href"]).status_code == 200 else []
        told = [ended(http, job) for job in jobs]
        finished = [each["id"] for each in told if each["state"] == "succeeded"]
        last = submit(http, 1.0, callback=listener.url)
        eventually(lambda: http.get(last["href"]).json()["callback"] == "delivered")
        eventually(lambda: len(listener.messages) == len(finished) + 1)

    assert cancelled
    heard = {json.loads(message.body)["id"] for message in listener.messages}
    assert heard == {*finished, last["id"]}


def test_what_a_killed_worker_had_is_answered(http: httpx.Client, workers: Server) -> None:
    values = [float(number) for number in range(20_000)]
    jobs = [submit(http, *values) for _ in range(8)]

    for worker in workers_of(workers):
        os.kill(worker.pid, signal.SIGKILL)

    told = [ended(http, job) for job in jobs]
    assert {each["state"] for each in told} == {"succeeded"}
    assert all(http.get(each["result"], follow_redirects=False).status_code in {200, 303} for each in told)


@pytest.mark.usefixtures("workers")
def test_jobs_are_metrics(http: httpx.Client) -> None:
    ended(http, submit(http, 1.0))

    def look() -> bool:
        now = read(http.get("/metrics").text)
        succeeded = now.value("slipway_jobs_ended_total", model=MODEL, state="succeeded")
        return now.value("slipway_job_workers") == 2 and succeeded > 0

    assert eventually(look)
    now = read(http.get("/metrics").text)
    assert now.value("slipway_jobs_reachable") == 1
    assert [labels for labels, _ in now.series("slipway_jobs", model=MODEL, state="queued")]


def test_one_command_is_enough_on_one_machine(tmp_path: Path) -> None:
    with house(tmp_path) as made, made.serving("--jobs") as http:
        told = ended(http, submit(http, 1.5))

        assert http.get(told["result"]).json() == {"predictions": [1.5]}


def test_a_server_without_a_database_takes_no_jobs(tmp_path: Path) -> None:
    with house(tmp_path, SERVING_JOBS__DATABASE="") as made, made.serving("--jobs") as http:
        assert http.post(f"/v1/models/{MODEL}/jobs", json=rows(1.0)).status_code == 404
        # A preference that nobody can meet is no mistake.
        assert http.post("/invocations", json=rows(1.0), headers={"prefer": "respond-async"}).status_code == 200


def test_without_a_database_the_command_says_what_to_set(tmp_path: Path) -> None:
    with house(tmp_path, SERVING_JOBS__DATABASE="") as made:
        command = [sys.executable, "-m", "serving", "jobs"]
        ran = subprocess.run(command, env=made.env, capture_output=True, text=True, cwd=ROOT, check=False)

    assert ran.returncode == 2
    assert ran.stderr == "serving: SERVING_JOBS__DATABASE: not set; jobs are kept there\n"
