"""Both clients and the command line, against serving's own desk and tables; a worker by hand, and a real one."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from minio import Minio

from serving.client import (
    AsyncClient,
    Client,
    InvalidInput,
    Job,
    JobConflict,
    JobFailed,
    JobNotEnded,
    KeyReused,
    NoJobs,
    UnknownJob,
    UnknownVersion,
    WaitExpired,
)
from serving.errors import RowsRefused
from serving.jobs.job import Outcome
from serving.protocol import Answer, Rows
from tests.servers import ROOT, make_buckets, s3, stack_environment
from tests.serving.client.by_hand import ByHand
from tests.serving.tensor_models import TensorModel, total
from tests.serving.working.house import house

FRAME = pd.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]}, index=["one", "two"])
MANY = pd.DataFrame({name: np.arange(2000.0) for name in "abc"}, index=range(7, 2007))
"""Its answer is too large for the database."""


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    made = ByHand(tmp_path_factory.mktemp("hand"))
    made.put(TensorModel())
    with made.place.reachable(), made.serving():
        yield made


@pytest.fixture(autouse=True)
def first_version(hand: ByHand) -> Iterator[None]:
    """Whoever promotes another one leaves this one behind."""
    yield
    hand.put(TensorModel())


@pytest.fixture
def client(hand: ByHand) -> Iterator[Client]:
    with Client(hand.url("http")) as made:
        yield made


def result(hand: ByHand, client: Client, rows: Any, **how: Any) -> Any:
    job = client.submit(rows, **how)
    hand.work(job.id)
    return client.result(client.wait(job, timeout=20))


def test_a_submitted_job_is_queued_under_the_version_of_now(hand: ByHand, client: Client) -> None:
    job = client.submit(FRAME)

    assert (job.state, job.model, job.version, job.rows_total, job.ended) == ("queued", "iris", 7, 2, False)
    assert job.position is not None
    assert client.job(job) == client.job(job.id) == job
    hand.work(job.id)
    done = client.wait(job)
    assert (done.state, done.rows_done, done.position, done.succeeded) == ("succeeded", 2, None, True)


def test_what_was_given_decides_what_the_result_is_as_with_predict(hand: ByHand, client: Client) -> None:
    pd.testing.assert_series_equal(result(hand, client, FRAME), client.predict(FRAME))
    np.testing.assert_array_equal(result(hand, client, FRAME.to_numpy()), client.predict(FRAME.to_numpy()))
    assert result(hand, client, FRAME.to_dict("list")) == [6, 15]
    assert result(hand, client, FRAME.to_dict("records")) == [6, 15]
    assert result(hand, client, [[1, 2, 3]]) == [6]
    pd.testing.assert_frame_equal(result(hand, client, FRAME, proba=True), client.predict_proba(FRAME))


def test_a_large_result_comes_from_elsewhere_and_is_the_same(hand: ByHand, client: Client) -> None:
    before = len(hand.place.heard)

    pd.testing.assert_series_equal(result(hand, client, MANY), client.predict(MANY))
    pd.testing.assert_frame_equal(result(hand, client, MANY, proba=True), client.predict_proba(MANY))
    assert len(hand.place.heard) == before + 2


def test_a_large_table_is_the_same_too(hand: ByHand, client: Client) -> None:
    def table(rows: Rows) -> Answer:
        words = np.array(["é"] * rows.count, object)
        return Answer((words, np.where(rows.blocks[0][:, 0] > 9, np.nan, 0.5)), ("word", "number"))

    hand.put(TensorModel(answers=table))

    pd.testing.assert_frame_equal(result(hand, client, MANY), client.predict(MANY))
    assert result(hand, client, MANY.to_dict("list")) == client.predict(MANY.to_dict("list"))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_the_place_of_a_large_result_is_sent_nothing_of_ours(
    hand: ByHand, kind: type[Client] | type[AsyncClient]
) -> None:
    secrets = {"authorization": "secret", "x-caller-key": "me"}
    if kind is Client:
        with Client(hand.url("http"), headers=secrets) as client:
            await asyncio.to_thread(result, hand, client, MANY)
    else:
        async with AsyncClient(hand.url("http"), headers=secrets) as asynchronous:
            job = await asynchronous.submit(MANY)
            await asyncio.to_thread(hand.work, job.id)
            await asynchronous.result(job)

    heard = hand.place.heard[-1]
    assert not {"authorization", "x-caller-key", "x-request-id", "x-request-timeout-ms"} & set(heard)


def test_who_has_only_the_id_gets_a_list(hand: ByHand, client: Client) -> None:
    job = client.submit(FRAME)
    hand.work(job.id)

    with Client(hand.url("http"), model="iris") as another:
        assert another.wait(job.id).succeeded
        assert another.result(job.id) == [6, 15]


def test_a_job_may_be_kept_in_a_file_with_what_its_result_is_to_be(hand: ByHand, client: Client) -> None:
    kept = pickle.dumps(client.submit(FRAME))
    job = pickle.loads(kept)  # noqa: S301 - our own
    hand.work(job.id)

    pd.testing.assert_series_equal(client.result(job), client.predict(FRAME))


async def test_the_asynchronous_client_has_the_same_verbs(hand: ByHand) -> None:
    async with AsyncClient(hand.url("http")) as client:
        job = await client.submit(FRAME)
        waiting = asyncio.create_task(client.wait(job, timeout=20))
        await asyncio.to_thread(hand.work, job.id)

        assert (await waiting).succeeded
        pd.testing.assert_series_equal(await client.result(job), pd.Series([6, 15], FRAME.index, name="prediction"))
        large = await client.submit(MANY)
        await asyncio.to_thread(hand.work, large.id)
        assert len(await client.result(large)) == len(MANY)
        cancelled = await client.cancel(await client.submit(FRAME))
        assert (await client.job(cancelled)).state == "cancelled"
        assert (await client.retry(cancelled)).state == "queued"
        queued = [each.id async for each in client.jobs(state="queued")]
        assert queued.index(cancelled.id) == 0


def test_the_same_key_is_the_same_job(client: Client) -> None:
    first, second = (client.submit(FRAME, key="mine") for _ in range(2))

    assert first.id == second.id
    with pytest.raises(KeyReused):
        client.submit(MANY, key="mine")
    assert client.submit(FRAME).id != client.submit(FRAME).id


def test_a_version_may_be_asked_for(hand: ByHand, client: Client) -> None:
    later, kept = client.submit(FRAME, version="latest"), client.submit(FRAME, version=7)
    assert (later.version, kept.version) == (None, 7)
    hand.put(TensorModel(), 8)

    hand.work(later.id)

    assert client.job(later).version == 8
    with pytest.raises(UnknownVersion):
        client.submit(FRAME, version=7)


def test_what_does_not_fit_is_refused_when_it_is_submitted(client: Client) -> None:
    with pytest.raises(InvalidInput, match="column 'c' is missing") as refusal:
        client.submit(FRAME.drop(columns="c"))

    assert refusal.value.version == "7"


def test_a_job_whose_rows_the_model_refuses_has_failed(hand: ByHand, client: Client) -> None:
    def picky(rows: Rows) -> Answer:
        if (rows.blocks[0][:, 0] > 3).any():
            raise RowsRefused("not above 3")
        return total(rows)

    hand.put(TensorModel(answers=picky))
    job = client.submit(FRAME)
    hand.work(job.id)

    done = client.wait(job)
    assert (done.state, done.code) == ("failed", "rows-refused")
    with pytest.raises(JobFailed, match="not above 3") as failed:
        client.result(job)
    assert (failed.value.state, failed.value.code, failed.value.reason) == (
        "failed",
        "rows-refused",
        f"the job is failed: {done.reason}",
    )


def test_a_job_that_goes_on_is_waited_for_as_long_as_one_cares_to(client: Client) -> None:
    job, seen = client.submit(FRAME), list[Job]()

    with pytest.raises(WaitExpired, match="the job is queued and goes on"):
        client.wait(job, timeout=0.2, seen=seen.append)

    assert {each.state for each in seen} == {"queued"}
    with pytest.raises(JobNotEnded):
        client.result(job)


def test_a_cancelled_job_may_be_queued_again(hand: ByHand, client: Client) -> None:
    job = client.cancel(client.submit(FRAME))
    with pytest.raises(JobFailed, match="the job is cancelled"):
        client.result(job)

    again = client.retry(job)

    assert (again.id, again.state) == (job.id, "queued")
    hand.work(job.id, generation=2)
    pd.testing.assert_series_equal(client.result(again), client.predict(FRAME))
    with pytest.raises(JobConflict):
        client.cancel(job)
    with pytest.raises(JobConflict):
        client.retry(job)


def test_jobs_are_listed_the_newest_first_over_all_pages(hand: ByHand, client: Client) -> None:
    made = [client.submit([[at, 0, 0]]).id for at in range(120)]
    hand.end(made[0], Outcome("dead", 7, code="internal-error", reason="because"))

    listed = client.jobs(state="queued")

    assert [next(listed).id for _ in range(119)] == made[:0:-1]
    assert [(each.id, each.reason) for each in client.jobs(state="dead")] == [(made[0], "because")]
    assert list(client.jobs(state="queued", version=99)) == []


def test_what_is_not_there_is_told_by_kind(hand: ByHand, client: Client, running_without: str) -> None:
    for ask in (client.job, client.wait, client.result, client.cancel, client.retry):
        with pytest.raises(UnknownJob):
            ask("nobody's")
    with pytest.raises(NoJobs, match="SERVING_JOBS__FILES"):
        client.submit_file("s3://a/rows.csv", "s3://a/out.csv", ["id"])
    with Client(running_without) as other, pytest.raises(NoJobs, match="this server takes no jobs"):
        other.submit(FRAME)
    with Client(hand.url("grpc"), model="iris") as other, pytest.raises(NoJobs, match="gRPC has none"):
        other.submit(FRAME)


@pytest.fixture
def running_without() -> Iterator[str]:
    from tests.serving.client.conftest import Running

    made = Running()
    made.put(TensorModel())
    with made.serving():
        yield made.url("http")


def command(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "serving.client", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_line_has_the_verbs(hand: ByHand, tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    at = "--url", hand.url("http")

    name = command("submit", tmp_path / "rows.csv", *at).stdout.strip()
    assert command("status", name, *at).stdout.splitlines()[1] == f"{name},queued,7,0,2,"
    waited = command("wait", name, "--for", "0.1", *at)
    assert (waited.returncode, "goes on" in waited.stderr) == (1, True)
    hand.work(name)
    waited = command("wait", name, *at)
    assert (waited.returncode, waited.stdout, waited.stderr) == (0, "", "succeeded, 2 of 2 rows\n")
    assert command("result", name, *at).stdout == "prediction\n6\n15\n"
    assert command("result", name, "--out", tmp_path / "out.csv", *at).returncode == 0
    assert (tmp_path / "out.csv").read_text() == "prediction\n6\n15\n"
    assert command("jobs", "--state", "succeeded", "--most", "1", *at).stdout.count("\n") == 2


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_file_of_any_kind_is_one_job(hand: ByHand, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        MANY.to_parquet(path)
    else:
        MANY.to_json(path, orient="records", lines=True)
    at = "--url", hand.url("http")

    name = command("submit", path, "--proba", *at).stdout.strip()
    hand.work(name)

    lines = command("result", name, *at).stdout.splitlines()
    assert (len(lines), lines[:2]) == (2001, ["0,1", "0.0,1.0"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit", "s3://a/rows.csv"], "a file on S3 is predicted into another one"),
        (["submit", "nothing.csv"], "nothing.csv: No such file or directory"),
        (["result", "nobodys"], "there is no such job"),
        (["cancel", "nobodys"], "there is no such job"),
        (["retry", "nobodys"], "there is no such job"),
        (["jobs", "--state", "asleep"], "bad-request"),
    ],
)
def test_what_fails_is_one_line(hand: ByHand, words: list[str], said: str) -> None:
    done = command(*words, "--url", hand.url("http"))

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr


async def test_a_real_worker_answers_clients_and_command_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, -2.0], "size": [0.0, 1.0]}, index=[7, 9])
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with house(tmp_path) as built, built.serving() as http, built.workers():
        url = str(http.base_url)
        with Client(url) as client:
            seen = list[Job]()
            job = client.wait(client.submit(frame), timeout=60, seen=seen.append)
            pd.testing.assert_series_equal(client.result(job), client.predict(frame))
            assert seen[-1] == job
        async with AsyncClient(url, model="iris") as asynchronous:
            jobs = await asyncio.gather(*(asynchronous.submit([[at, 0]]) for at in range(10)))
            await asyncio.gather(*(asynchronous.wait(each, timeout=60) for each in jobs))
            assert [await asynchronous.result(each) for each in jobs] == [[at] for at in range(10)]
        name = command("submit", tmp_path / "rows.csv", "--url", url).stdout.strip()
        assert command("wait", name, "--for", "60", "--url", url).returncode == 0
        assert command("result", name, "--url", url).stdout == "prediction\n1.5\n-2.0\n"


@pytest.mark.slow
def test_files_and_large_results_go_by_way_of_a_real_s3(tmp_path: Path) -> None:
    folder, kept = tmp_path / "house", tmp_path / "s3"
    folder.mkdir()
    kept.mkdir()
    env = stack_environment(kept)
    frame = pd.DataFrame({"id": ["a", "b"], "x": [1.5, -2.0], "size": [0.0, 1.0]})
    many = pd.DataFrame({"x": np.arange(1000.0), "size": 0.0}, index=range(7, 1007))
    names = {name: value for name, value in env.items() if name.startswith("AWS_")}
    places = {"SERVING_JOBS__PLACE": "s3://mlflow/jobs", "SERVING_JOBS__FILES": "s3://mlflow/files"}
    with s3(env, kept), house(folder, **names, **places, SERVING_JOBS__INLINE_BYTES="1000") as built:
        make_buckets(env)
        put(env, "files/rows.csv", frame.to_csv(index=False).encode())
        with built.serving() as http, built.workers(), Client(str(http.base_url)) as client:
            large = client.wait(client.submit(many), timeout=60)
            pd.testing.assert_series_equal(client.result(large), client.predict(many))

            for name in ("out.csv", "out.parquet"):
                job = client.submit_file("s3://mlflow/files/rows.csv", f"s3://mlflow/files/{name}", ["id"])
                assert client.wait(job, timeout=60).succeeded
                assert client.result(job) == [{"id": "a", "y": 1.5}, {"id": "b", "y": -2}]
            with pytest.raises(InvalidInput, match="SERVING_JOBS__FILES"):
                client.submit_file("s3://dvc/rows.csv", "s3://mlflow/files/out.csv")


def put(env: Mapping[str, str], name: str, content: bytes) -> None:
    client = Minio(
        f"127.0.0.1:{env['S3_PORT']}",
        access_key=env["AWS_ACCESS_KEY_ID"],
        secret_key=env["AWS_SECRET_ACCESS_KEY"],
        region=env["AWS_DEFAULT_REGION"],
        secure=False,
    )
    client.put_object("mlflow", name, BytesIO(content), len(content))
