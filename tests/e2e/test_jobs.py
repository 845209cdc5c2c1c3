"""Jobs on a real registry and a real S3 server: bodies, results and files that lie there, versions long replaced."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pytest
from minio import Minio
from pyarrow import parquet as pq

from tests.e2e.publisher import Publisher, with_twin, without_twin
from tests.e2e.running import Running, serving
from tests.servers import Server, Stack, eventually, spawn
from tests.serving.working.house import ended

BUCKET = "e2e-jobs"


@pytest.fixture(scope="module")
def bucket(stack: Stack) -> Minio:
    keys = stack.env["AWS_ACCESS_KEY_ID"], stack.env["AWS_SECRET_ACCESS_KEY"]
    client = Minio(
        urlsplit(stack.s3_url).netloc, access_key=keys[0], secret_key=keys[1], region="us-east-1", secure=False
    )
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)
    return client


@pytest.fixture(scope="module")
def publisher(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """Of versions 1 and 2, with twins that answer x and 2 x, and 3, without, that answers 3 x."""
    made = Publisher(stack.tracking_uri, "e2e-jobs")
    folder = tmp_path_factory.mktemp("versions")
    for factor in (1, 2):
        assert made.publish(with_twin(folder / str(factor), factor)) == factor
    assert made.publish(without_twin(folder / "3", 3)) == 3
    return made


@pytest.fixture(scope="module")
def environment(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        **stack.env,
        "SERVING_JOBS__DATABASE": f"sqlite:///{tmp_path_factory.mktemp('database')}/jobs.sqlite",
        "SERVING_JOBS__PLACE": f"s3://{BUCKET}/kept",
        "SERVING_JOBS__FILES": f"s3://{BUCKET}/files",
        "SERVING_JOBS__INLINE_BYTES": "2000",
        "SERVING_KEEP_VERSIONS": "0",
    }


@pytest.fixture(scope="module")
def running(
    environment: dict[str, str], publisher: Publisher, bucket: Minio, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    assert bucket
    publisher.promote(1)
    with serving(environment, tmp_path_factory.mktemp("serving"), publisher.name) as found:
        yield found


@pytest.fixture(scope="module")
def http(running: Running, publisher: Publisher) -> Iterator[httpx.Client]:
    base = f"{running.server.url}/v1/models/{publisher.name}"
    with httpx.Client(base_url=base, timeout=30, follow_redirects=False) as client:
        yield client


@contextmanager
def working(environment: dict[str, str], running: Running, publisher: Publisher, folder: Path) -> Iterator[Server]:
    log = folder / "jobs.log"
    env = {
        **environment,
        "SERVING_MODELS": publisher.name,
        "SERVING_STORE": str(running.server.log.parent / "store"),
    }
    with log.open("ab") as output:
        started = Server("jobs", 0, spawn([sys.executable, "-m", "serving", "jobs"], env, output), log)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def workers(
    environment: dict[str, str], running: Running, publisher: Publisher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with working(environment, running, publisher, tmp_path_factory.mktemp("working")) as started:
        yield started


def rows(*values: float) -> str:
    return json.dumps({"dataframe_split": {"columns": ["x", "size"], "data": [[value, 1.0] for value in values]}})


def answered_by(http: httpx.Client) -> str:
    """The version that answers a new connection."""
    answer = http.post("/invocations", content=rows(1.5), headers={"content-type": "application/json"})
    found: str = answer.headers["x-model-version"]
    return found


def submit(http: httpx.Client, body: str, **words: str) -> dict[str, Any]:
    answer = http.post("/jobs", content=body, headers={"content-type": "application/json"}, params=words)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


def finished(http: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    return ended(http, {**job, "href": f"/jobs/{job['id']}"}, seconds=120)


def result(http: httpx.Client, job: dict[str, Any]) -> httpx.Response:
    return http.get(f"/jobs/{job['id']}/result")


def test_a_job_keeps_its_version_though_others_are_promoted_and_it_is_gone_from_the_store(
    http: httpx.Client, environment: dict[str, str], running: Running, publisher: Publisher, tmp_path: Path
) -> None:
    """With a twin, and without one, which needs a host."""
    first = submit(http, rows(1.5))
    publisher.promote(3)
    eventually(lambda: answered_by(http) == "3")
    hosted = submit(http, rows(1.5))
    publisher.promote(2)
    eventually(lambda: answered_by(http) == "2")
    latest = submit(http, rows(1.5), version="latest")

    with working(environment, running, publisher, tmp_path):
        told = [finished(http, job) for job in (first, hosted, latest)]

    assert [(each["state"], each["version"]) for each in told] == [("succeeded", 1), ("succeeded", 3), ("succeeded", 2)]
    answers = [result(http, job).json()["predictions"] for job in (first, hosted, latest)]
    assert [round(answer, 6) for (answer,) in answers] == [1.5, 4.5, 3.0]


@pytest.mark.usefixtures("workers")
def test_a_large_body_and_a_large_answer_lie_on_s3(http: httpx.Client, bucket: Minio) -> None:
    values = [float(number) for number in range(5000)]
    job = submit(http, rows(*values), version="latest")

    assert finished(http, job)["state"] == "succeeded"

    found = result(http, job)
    assert found.status_code == 303
    assert found.json()["url"] == found.headers["location"]
    table = pq.read_table(io.BytesIO(httpx.get(found.headers["location"]).content))
    assert table.column_names == ["y"]
    factor = int(found.headers["x-model-version"])
    assert table.column(0).to_pylist() == [factor * value for value in values]
    kept = [each.object_name for each in bucket.list_objects(BUCKET, f"kept/{job['id']}/", recursive=True)]
    assert sorted(kept) == [f"kept/{job['id']}/1/predictions.parquet", f"kept/{job['id']}/body"]


def put(bucket: Minio, name: str, table: pa.Table) -> str:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    buffer.seek(0)
    bucket.put_object(BUCKET, name, buffer, len(buffer.getvalue()))
    return f"s3://{BUCKET}/{name}"


@pytest.mark.usefixtures("workers")
def test_a_file_is_answered_by_a_file(http: httpx.Client, bucket: Minio) -> None:
    count = 100_000
    source = put(bucket, "files/in.parquet", pa.table({"id": range(count), "x": [2.0] * count, "size": [1.0] * count}))
    order = {"input": source, "output": f"s3://{BUCKET}/files/out.parquet", "keys": ["id"]}

    job = submit(http, json.dumps(order))

    assert job["rows_total"] == count
    told = finished(http, job)
    assert (told["state"], told["rows_done"]) == ("succeeded", count)
    found = result(http, job)
    assert found.json()["uri"] == order["output"]
    table = pq.read_table(io.BytesIO(httpx.get(found.headers["location"]).content))
    assert table.column("id").to_pylist() == list(range(count))
    assert set(table.column("y").to_pylist()) == {2.0 * int(str(told["version"]))}


@pytest.mark.usefixtures("workers")
def test_the_row_of_a_file_that_does_not_fit_is_named(http: httpx.Client, bucket: Minio) -> None:
    source = put(bucket, "files/bad.parquet", pa.table({"x": ["1.0", "many"], "size": ["1", "1"]}))

    job = submit(http, json.dumps({"input": source, "output": f"s3://{BUCKET}/files/none.parquet"}))

    told = finished(http, job)
    assert (told["state"], told["code"]) == ("failed", "invalid-input")
    assert "column 'x'" in str(told["reason"])
    assert result(http, job).status_code == 409


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": f"s3://{BUCKET}/files/nothing.parquet"}, "there is no such file"),
        ({"input": f"s3://{BUCKET}/kept/in.parquet"}, "SERVING_JOBS__FILES"),
        ({"output": f"s3://{BUCKET}/out.parquet"}, "SERVING_JOBS__FILES"),
        ({"keys": ["name"]}, "column 'name' is missing"),
        ({"output": f"s3://{BUCKET}/files/out.xls"}, "its name must end in"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_when_it_is_submitted(
    http: httpx.Client, bucket: Minio, changes: dict[str, object], reason: str
) -> None:
    source = put(bucket, "files/right.parquet", pa.table({"x": [1.0], "size": [1.0]}))
    order = {"input": source, "output": f"s3://{BUCKET}/files/out.parquet", **changes}

    answer = http.post("/jobs", json=order)

    assert answer.status_code == 400
    assert reason in answer.json()["detail"]
