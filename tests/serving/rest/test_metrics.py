"""What /metrics says of one process, and of the real ones of `python -m serving`."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient import grpc as triton

from serving.app import build
from serving.engine import Engine, Limits
from serving.lineup import Lineup
from serving.metrics.declared import CODES, ROUTES
from serving.store.posted import Board, Posting
from tests.fakes import a_version
from tests.servers import Server, eventually
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.rest.test_front import ENDPOINTS, ROWS, TENSOR
from tests.serving.rpc.conftest import Watched
from tests.serving.samples import Samples, read
from tests.serving.tensor_models import Held, TensorModel, put
from tests.serving.test_supervisor import BODY, FORK_SERVER, SYNCER, WORKER, ask, children, serving
from tests.serving.twins import post

LINES = {"content": b'{"a": 1, "b": 2, "c": 3}\n', "headers": {"content-type": "application/x-ndjson"}}


async def told(client: httpx.AsyncClient, **headers: str) -> Samples:
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return read(answer.text)


def counted(samples: Samples) -> dict[tuple[str, ...], float]:
    """Requests by model, version, route and code, but those that only look."""
    return {
        tuple(labels[each] for each in ("model", "version", "route", "code")): count
        for labels, count in samples.series("slipway_requests_total")
        if (labels["route"], labels["code"]) != ("other", "ok")
    }


@pytest.mark.parametrize(
    ("asked", "sent", "labels"),
    [
        ("POST /invocations", {"json": ROWS}, ("iris", "7", "invocations", "ok")),
        ("POST /v1/models/iris/invocations", {"json": ROWS}, ("iris", "7", "invocations", "ok")),
        ("POST /v2/models/iris/infer", {"json": TENSOR}, ("iris", "7", "infer", "ok")),
        ("POST /invocations", LINES, ("iris", "7", "lines", "ok")),
        ("POST /invocations", {"json": {}}, ("iris", "7", "invocations", "invalid-input")),
        ("POST /invocations", {"content": b"x"}, ("iris", "7", "invocations", "unsupported-media-type")),
        ("POST /v2/models/iris/infer", {"content": b"x"}, ("iris", "7", "infer", "invalid-input")),
        ("GET /v2/models/iris/infer", {}, ("", "", "infer", "method-not-allowed")),
        ("POST /v1/models/mine/invocations", {"json": ROWS}, ("", "", "invocations", "unknown-model")),
        ("POST /v1/models/wine/invocations", {"json": ROWS}, ("", "", "invocations", "not-ready")),
        ("POST /v2/models/iris/versions/8/infer", {"json": TENSOR}, ("", "", "infer", "unknown-version")),
        ("GET /nowhere", {}, ("", "", "other", "not-found")),
        ("POST /ping", {}, ("", "", "other", "method-not-allowed")),
        ("GET /v2/models/mine", {}, ("", "", "other", "unknown-model")),
    ],
)
async def test_each_request_is_counted_once_by_its_way_and_its_end(
    client: httpx.AsyncClient, lineup: Lineup, asked: str, sent: dict[str, Any], labels: tuple[str, ...]
) -> None:
    put(lineup)

    for _ in range(2):
        await client.request(*asked.split(), **sent)

    assert counted(await told(client)) == {labels: 2}


@pytest.mark.parametrize("inline_rows", [0, 8])
@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
async def test_an_answer_has_a_time_in_every_phase(
    client: httpx.AsyncClient, lineup: Lineup, path: str, payload: Any, inline_rows: int
) -> None:
    put(lineup, inline_rows=inline_rows)

    assert (await client.post(path, json=payload)).status_code == 200
    assert (await client.post(path, json={})).status_code == 400

    seen = await told(client)
    times = {labels["phase"]: seconds for labels, seconds in seen.series("slipway_request_seconds_sum")}
    assert set(times) == {"queue", "decode", "predict", "encode", "total"}
    assert (times["queue"] > 0) is (inline_rows == 0)
    assert all(times[phase] > 0 for phase in ("decode", "predict", "encode"))
    assert sum(seconds for phase, seconds in times.items() if phase != "total") <= times["total"]
    assert {count for _, count in seen.series("slipway_request_seconds_count")} == {1}
    for name in ("slipway_batch_rows", "slipway_batch_requests"):
        assert (seen.value(f"{name}_count"), seen.value(f"{name}_sum")) == (1, 1)


async def test_what_waits_and_what_is_joined_is_seen(lineup: Lineup) -> None:
    held, engine = Held(), Watched(lineup, Limits(waiting_rows=4))
    put(lineup, TensorModel(answers=held), inline_rows=0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(engine)), base_url="http://slipway") as client:
        first = asyncio.create_task(client.post("/invocations", json=ROWS))
        assert await asyncio.to_thread(held.started.wait, 20)
        others = [asyncio.create_task(client.post("/invocations", json=ROWS)) for _ in range(4)]
        await engine.has(under_way=5)

        refused = await client.post("/invocations", json=ROWS)
        during = await told(client)
        held.release.set()
        await asyncio.gather(first, *others)

        after = await told(client)
    engine.close()
    assert refused.status_code == 503
    assert (during.value("slipway_queue_rows", model="iris"), after.value("slipway_queue_rows", model="iris")) == (4, 0)
    assert during.value("slipway_queue_limit_rows", model="iris") == 4
    assert counted(after) == {("iris", "7", "invocations", "ok"): 5, ("iris", "7", "invocations", "queue-full"): 1}
    assert (after.value("slipway_batch_requests_count"), after.value("slipway_batch_requests_sum")) == (2, 5)
    assert after.value("slipway_batch_requests_bucket", le="1.0") == 1


async def test_the_lineup_is_seen(client: httpx.AsyncClient, lineup: Lineup) -> None:
    before = await told(client)
    put(lineup, number=7)
    first = await told(client)
    put(lineup, number=8)
    lineup.put(replace(lineup.standing("iris"), registry_reachable=False))
    second = await told(client)

    def filled(samples: Samples) -> list[tuple[str, ...]]:
        return [tuple(labels.values()) for labels, count in samples.series("slipway_lineup") if count]

    assert [filled(each) for each in (before, first, second)] == [
        [],
        [("iris", "production", "7")],
        [("iris", "production", "8")],
    ]
    for samples, answering in ((before, 0), (second, 1)):
        assert samples.value("slipway_answering_workers", model="iris") == answering
        assert samples.value("slipway_answering_workers", model="wine") == 0
    assert (first.value("slipway_stale", model="iris"), second.value("slipway_stale", model="iris")) == (0, 1)


async def test_the_format_is_what_accept_asks_for(client: httpx.AsyncClient) -> None:
    plain = await client.get("/metrics")
    openmetrics = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert set(read(plain.text).families) == set(read(openmetrics.text).families)


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(word=WORDS, text=WORDS)
def test_nothing_that_a_caller_sends_becomes_a_label(word: str, text: str) -> None:
    lineup = Lineup(("iris", "wine"))
    put(lineup)
    engine = Engine(lineup)
    quoted = quote(word, safe="")

    async def call() -> Samples:
        transport = httpx.ASGITransport(build(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://slipway") as client:
            headers = {b"x-request-id": text.encode(), b"accept": text.encode(), b"content-type": b"application/json"}
            for path in (
                f"/v1/models/{quoted}/invocations",
                f"/v2/models/{quoted}/infer",
                f"/v2/models/iris/versions/{quoted}/infer",
                f"/v2/models/{quoted}",
                f"/{quoted}",
            ):
                await client.post(path, content=text.encode(), headers=headers)
            return await told(client)

    seen = asyncio.run(call())

    engine.close()
    known = {
        "model": {"", "iris", "wine"},
        "version": {"", "7"},
        "protocol": {"rest"},
        "route": {route for protocol, route in ROUTES if protocol == "rest"},
        "code": set(CODES),
    }
    for labels, _ in seen.series("slipway_requests_total"):
        assert {label: value for label, value in labels.items() if value not in known[label]} == {}


# From here on: the real processes.


def scraped(running: Server) -> Samples:
    answer = httpx.get(f"{running.url}/metrics", timeout=20)
    assert answer.status_code == 200, answer.text
    return read(answer.text)


def seen(running: Server, name: str, **labels: str) -> float:
    return scraped(running).value(name, **labels)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("two"), workers=2) as running:
        eventually(lambda: len(children(running, WORKER)) == 2 and children(running, SYNCER))
        eventually(lambda: seen(running, "slipway_answering_workers", model="iris") == 2)
        yield running


def by_each_worker(running: Server, call: Callable[[], object]) -> None:
    """Once by one worker, once by the other."""
    for alone in (0, 1):
        other = children(running, WORKER)[alone]
        other.suspend()
        try:
            call()
        finally:
            other.resume()


def grpc_port(running: Server) -> int:
    """SERVING_GRPC_PORT of a server that was started with one."""
    return int(psutil.Process(running.process.pid).environ()["SERVING_GRPC_PORT"])


def test_what_each_of_two_workers_answers_is_in_the_sum(two: Server) -> None:
    before = scraped(two)

    def call() -> None:
        for _ in range(5):
            assert ask(two) == [6]
        assert httpx.post(f"{two.url}/v1/models/mine/invocations", json=BODY, timeout=20).status_code == 404

    by_each_worker(two, call)

    after = scraped(two)

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("slipway_requests_total", model="iris", version="1", route="invocations", code="ok") == 10
    assert more("slipway_requests_total", model="", route="invocations", code="unknown-model") == 2
    assert more("slipway_requests_total", protocol="rest", route="invocations") == 12
    assert more("slipway_request_seconds_count", phase="total") == 10
    assert more("slipway_batch_rows_sum", model="iris") == 10


def test_grpc_is_counted_beside_http(two: Server) -> None:
    def by_grpc() -> float:
        return seen(two, "slipway_requests_total", protocol="grpc", route="ModelInfer", code="ok")

    before = by_grpc()

    with triton.InferenceServerClient(f"127.0.0.1:{grpc_port(two)}") as client:
        tensor = triton.InferInput("rows", [1, 2], "FP64")
        tensor.set_data_from_numpy(np.array([[2.0, 1.0]]))
        assert client.infer("iris", [tensor]).get_response().model_version == "1"

    assert by_grpc() == before + 1


def test_a_worker_that_is_killed_leaves_its_counts_and_takes_its_gauges(two: Server) -> None:
    by_each_worker(two, lambda: ask(two))
    before = scraped(two)
    assert before.value("slipway_lineup", model="iris", slot="production", version="1") == 2
    killed = children(two, WORKER)[0]

    killed.kill()
    during = answering(two, workers=1)
    after = answering(two, workers=2)

    assert during.value("slipway_lineup", model="iris", slot="production", version="1") == 1
    for samples in (during, after):
        for name in ("slipway_requests_total", "slipway_request_seconds_count", "slipway_swaps_total"):
            assert samples.value(name, model="iris") >= before.value(name, model="iris") > 0
        assert samples.value("slipway_requests_total", code="ok", route="invocations") == before.value(
            "slipway_requests_total", code="ok", route="invocations"
        )
        deaths = samples.value("slipway_process_deaths_total") - before.value("slipway_process_deaths_total")
        assert deaths == 1


def answering(running: Server, *, workers: int) -> Samples:
    """What is said once so many workers answer."""

    def look() -> Samples | None:
        now = scraped(running)
        return now if now.value("slipway_answering_workers", model="iris") == workers else None

    found = eventually(look, seconds=30)
    assert found is not None
    return found


def test_a_registry_that_is_out_of_reach_is_seen(two: Server) -> None:
    age = seen(two, "slipway_registry_age_seconds", model="iris")

    eventually(lambda: seen(two, "slipway_stale", model="iris") == 1)
    eventually(lambda: seen(two, "slipway_registry_polls_total", model="iris", outcome="failed") >= 2)

    now = scraped(two)
    assert now.value("slipway_registry_polls_total", outcome="ok") == 0
    assert now.value("slipway_registry_age_seconds", model="iris") > age


def test_every_kind_of_process_is_seen(two: Server) -> None:
    now = scraped(two)

    assert {labels["kind"]: count for labels, count in now.series("slipway_processes")} == {
        "supervisor": 1,
        "fork-server": 1,
        "syncer": 1,
        "worker": 2,
        "host": 0,
    }
    for name in ("slipway_process_cpu_seconds_total", "slipway_process_resident_memory_bytes"):
        assert {labels["kind"] for labels, value in now.series(name) if value} >= {"supervisor", "syncer", "worker"}


def test_a_promotion_and_its_hosts_are_seen(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, SERVING_ALLOW_CODE="true") as running:
        a_pyfunc(tmp_path / "store/iris/2-own")
        Board(("iris",), tmp_path / "store").put(Posting("iris", a_version(2), "iris/2-own"))
        eventually(lambda: seen(running, "slipway_lineup", version="2") == 1, seconds=60)
        now = scraped(running)
        assert list(now.series("slipway_lineup")) == [({"model": "iris", "slot": "production", "version": "2"}, 1)]
        assert now.value("slipway_swaps_total", model="iris") == 2
        assert now.value("slipway_processes", kind="host") == 1
        assert now.value("slipway_process_resident_memory_bytes", process="hosts") > 1e7

        (forking,) = children(running, FORK_SERVER)
        (host,) = forking.children()
        os.kill(host.pid, signal.SIGKILL)
        eventually(lambda: seen(running, "slipway_hosts_died_total") == 1)
        ask(running)
        assert seen(running, "slipway_hosts_started_total") == 2

        post(tmp_path / "store", 3, factor=3)  # needs no host
        eventually(lambda: seen(running, "slipway_processes", kind="host") == 0)
        assert seen(running, "slipway_hosts_died_total") == 1


def test_nothing_that_was_counted_stays_when_serving_ends(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as running:
        words = children(running, WORKER)[0].cmdline()
        everybodys = Path(words[words.index("--counted") + 1]).parent
        assert {"supervisor", "worker-1"} <= {each.name for each in everybodys.iterdir()}

        running.process.send_signal(signal.SIGTERM)

        assert running.process.wait(20) == 0
        assert not everybodys.exists()
