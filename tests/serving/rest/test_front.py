import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from serving.app import build
from serving.lineup import Lineup
from serving.metrics.declared import GONE
from serving.protocol import Answer, Rows
from tests.servers import eventually, free_port
from tests.serving.rpc.conftest import Watched
from tests.serving.samples import read
from tests.serving.tensor_models import Held, TensorModel, put

LARGEST = 200_000
ROWS = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}
TENSOR = {"inputs": [{"name": "rows", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}
ENDPOINTS = [("/invocations", ROWS), ("/v2/models/iris/infer", TENSOR)]


@dataclass
class Live:
    """The app behind a real uvicorn, in the test's own loop."""

    lineup: Lineup
    engine: Watched
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def sent(self, path: str, payload: Any) -> asyncio.StreamWriter:
        """A request that is on its way, whose caller can hang up."""
        body = json.dumps(payload).encode()
        _, writer = await self.connect()
        writer.write(b"POST %s HTTP/1.1\r\nhost: x\r\n" % path.encode())
        writer.write(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        return writer


@pytest.fixture
async def live(lineup: Lineup) -> AsyncIterator[Live]:
    engine, port = Watched(lineup), free_port()
    app = build(engine, largest_body=LARGEST)
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await asyncio.to_thread(eventually, lambda: server.started)
    yield Live(lineup, engine, port)
    server.should_exit = True
    await serving
    engine.close()


@pytest.fixture
async def http(live: Live) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=live.url, timeout=20) as client:
        yield client


@pytest.fixture
def held() -> Iterator[Held]:
    model = Held()
    yield model
    model.release.set()


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
async def test_a_body_may_come_in_any_pieces(
    http: httpx.AsyncClient, live: Live, path: str, payload: Any, size: int
) -> None:
    put(live.lineup)
    headers = {"content-type": "application/json"}

    answer = await http.post(path, content=in_pieces(json.dumps(payload).encode(), size), headers=headers)

    assert answer.status_code == 200, answer.text
    assert "6" in answer.text


@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
async def test_a_larger_body_is_a_413_whether_its_length_is_told_or_not(
    http: httpx.AsyncClient, live: Live, path: str, payload: Any
) -> None:
    put(live.lineup)
    headers = {"content-type": "application/json"}
    fits, large = (json.dumps(payload).encode().ljust(size) for size in (LARGEST, LARGEST + 1))

    told = await http.post(path, content=large, headers=headers)
    streamed = await http.post(path, content=in_pieces(large, 50_000), headers=headers)

    for answer in (told, streamed):
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:slipway:problem:too-large")
        assert "200000 bytes" in answer.json()["detail"]
    for content in (fits, in_pieces(fits, 50_000)):
        assert (await http.post(path, content=content, headers=headers)).status_code == 200


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(live: Live) -> None:
    put(live.lineup)
    reader, writer = await live.connect()

    writer.write(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
    writer.write(b"content-length: 99999999999\r\n\r\n")

    assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 413")
    writer.close()


def ask_for_two(payload: Any) -> Any:
    if "inputs" in payload:
        return {"inputs": [{**payload["inputs"][0], "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}]}
    return {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3], [4, 5, 6]]}}


@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
@pytest.mark.parametrize("inline_rows", [0, 1])
async def test_a_caller_who_hangs_up_while_it_waits_is_not_predicted(
    live: Live, http: httpx.AsyncClient, path: str, payload: Any, inline_rows: int
) -> None:
    held, two = Held(), ask_for_two(payload)
    put(live.lineup, TensorModel(answers=held), inline_rows=inline_rows)
    first = asyncio.create_task(http.post(path, json=two))
    assert await asyncio.to_thread(held.started.wait, 20)
    third = asyncio.create_task(http.post(path, json=two))
    leaving = await live.sent(path, two)
    await live.engine.has(under_way=3)

    leaving.close()
    await live.engine.has(under_way=2)
    held.release.set()

    assert [(await each).status_code for each in (first, third)] == [200, 200]
    assert held.seen == [2, 2]


async def test_a_caller_who_hangs_up_half_way_through_its_body_hurts_nobody(
    http: httpx.AsyncClient, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    put(live.lineup)
    _, writer = await live.connect()
    writer.write(
        b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
    )
    await writer.drain()
    caplog.set_level("DEBUG", "serving.rest.front")

    writer.close()

    await asyncio.to_thread(eventually, lambda: "caller hung up" in [each.message for each in caplog.records])
    assert (await http.post("/invocations", json=ROWS)).json() == {"predictions": [6]}
    assert [each.message for each in caplog.records if each.levelname in {"WARNING", "ERROR"}] == []


@pytest.mark.parametrize("inline_rows", [0, 8])
@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
async def test_an_answer_tells_where_its_time_went(
    http: httpx.AsyncClient, live: Live, path: str, payload: Any, inline_rows: int
) -> None:
    put(live.lineup, inline_rows=inline_rows)

    told = (await http.post(path, json=payload)).headers["server-timing"]

    took = dict(re.findall(r"(\w+);dur=([\d.]+)", told))
    assert list(took) == ["queue", "decode", "predict", "encode"]
    assert all(float(took[name]) > 0 for name in ("decode", "predict", "encode"))
    assert (float(took["queue"]) > 0) is (inline_rows == 0)


SANE = ["abc", "a.b:c-d_e", "x" * 128]
INSANE = ["", "two words", "x" * 129, "a\tb", "ü", '{"a":1}']


@pytest.mark.parametrize("given", SANE)
@pytest.mark.parametrize("path", ["/invocations", "/v2/models/iris/infer", "/ping", "/nowhere"])
async def test_a_sane_request_id_is_returned(http: httpx.AsyncClient, live: Live, path: str, given: str) -> None:
    put(live.lineup)

    for payload in (ROWS, {}):
        answer = await http.post(path, json=payload, headers={"x-request-id": given})
        assert answer.headers.get_list("x-request-id") == [given]
        assert answer.status_code == 200 or answer.json()["request_id"] == given


@pytest.mark.parametrize("given", INSANE)
@pytest.mark.parametrize("path", ["/invocations", "/ping"])
async def test_another_one_is_replaced_by_one_of_ours(
    http: httpx.AsyncClient, live: Live, path: str, given: str
) -> None:
    put(live.lineup)
    headers = {b"x-request-id": given.encode()}

    ids = [(await http.post(path, json=ROWS, headers=headers)).headers["x-request-id"] for _ in range(3)]

    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-f]{17,}", each) for each in ids)


@pytest.mark.parametrize("limit", ["soon", "-1", "nan", "inf", "1e12", "", "ü"])
async def test_a_time_limit_that_is_no_number_of_milliseconds_is_a_400(
    http: httpx.AsyncClient, live: Live, limit: str
) -> None:
    put(live.lineup)

    answer = await http.post("/invocations", json=ROWS, headers={b"x-request-timeout-ms": limit.encode()})

    assert answer.status_code == 400
    assert answer.json()["detail"] == "x-request-timeout-ms must be a number of milliseconds"


@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
async def test_a_time_limit_that_has_passed_is_a_504(
    http: httpx.AsyncClient, live: Live, held: Held, path: str, payload: Any
) -> None:
    put(live.lineup, TensorModel(answers=held), inline_rows=0)
    first = asyncio.create_task(http.post(path, json=payload))
    assert await asyncio.to_thread(held.started.wait, 20)

    none, short = [await http.post(path, json=payload, headers={"x-request-timeout-ms": limit}) for limit in ("0", "9")]

    for answer in (none, short):
        assert (answer.status_code, answer.json()["type"]) == (504, "urn:slipway:problem:deadline-expired")
    held.release.set()
    assert (await first).status_code == 200
    assert held.seen == [1]
    assert (await http.post(path, json=payload, headers={"x-request-timeout-ms": "20000"})).status_code == 200


@pytest.mark.parametrize("path", [path for path, _ in ENDPOINTS])
async def test_only_post_predicts(http: httpx.AsyncClient, live: Live, path: str) -> None:
    put(live.lineup)

    answer = await http.get(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_model_that_breaks_is_a_500_and_the_log_has_the_cause(
    http: httpx.AsyncClient, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_rows: Rows) -> Answer:
        raise IndexError("secret-payload")

    put(live.lineup, TensorModel(answers=broken), inline_rows=8)

    answer = await http.post("/invocations", json=ROWS)

    assert (answer.status_code, answer.json()["type"]) == (500, "urn:slipway:problem:prediction-failed")
    assert "IndexError" in str([vars(each).get("cause") for each in caplog.records])
    assert "secret-payload" not in answer.text


async def counted(http: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    """Predictions asked for, by route and code."""
    seen = read((await http.get("/metrics")).text).series("slipway_requests_total")
    return {(labels["route"], labels["code"]): count for labels, count in seen if labels["route"] != "other"}


async def eventually_counted(http: httpx.AsyncClient, wanted: dict[tuple[str, str], float]) -> None:
    async with asyncio.timeout(20):
        while await counted(http) != wanted:
            await asyncio.to_thread(threading.Event().wait, 0.01)


@pytest.mark.parametrize(("path", "payload"), ENDPOINTS)
async def test_who_hangs_up_while_it_waits_is_counted_as_gone(
    live: Live, http: httpx.AsyncClient, held: Held, path: str, payload: Any
) -> None:
    put(live.lineup, TensorModel(answers=held), inline_rows=0)
    leaving = await live.sent(path, payload)
    assert await asyncio.to_thread(held.started.wait, 20)

    leaving.close()

    await eventually_counted(http, {("infer" if "infer" in path else "invocations", GONE): 1})


async def test_a_stream_of_lines_is_counted_by_how_it_ends(http: httpx.AsyncClient, live: Live) -> None:
    put(live.lineup)
    line, lines = b'{"a": 1, "b": 2, "c": 3}\n', {"content-type": "application/x-ndjson"}
    assert (await http.post("/invocations", content=2 * line, headers=lines)).status_code == 200
    await eventually_counted(http, {("lines", "ok"): 1})
    reader, writer = await live.connect()
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: 99\r\n\r\n"
    writer.write(head + line)
    assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200")

    writer.close()

    await eventually_counted(http, {("lines", "ok"): 1, ("lines", GONE): 1})


async def test_a_crash_is_counted_as_an_internal_error(http: httpx.AsyncClient, live: Live) -> None:
    def odd(_rows: Rows) -> Answer:
        return Answer((None,))  # type: ignore[arg-type]  # what nobody expects

    put(live.lineup, TensorModel(answers=odd))

    assert (await http.post("/invocations", json=ROWS)).status_code == 500

    assert await counted(http) == {("invocations", "internal-error"): 1}
