"""Lines about requests say who asked: by the id that `keys list` shows."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from serving.access.guard import Guard
from serving.access.keys import Keys
from serving.access.rates import Rates
from serving.app import More, build
from serving.engine import Engine
from serving.lineup import Lineup
from serving.request_log import RequestLog
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.server import Options, start
from tests.servers import free_port
from tests.serving.access.conftest import MakeKey
from tests.serving.rpc.conftest import a_request
from tests.serving.tensor_models import put

ROWS = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}


@pytest.fixture
def key(make_key: MakeKey) -> str:
    return make_key("predict")


@pytest.fixture
def guard(key: str, key_path: Path) -> Guard:
    return Guard(Keys(key_path), None, Rates(None, 1))


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Engine]:
    put(lineup)
    made = Engine(lineup)
    made.log = RequestLog("all")
    yield made
    made.close()


@pytest.fixture
async def http(engine: Engine, guard: Guard) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build(engine, more=More(guard=guard)))
    async with httpx.AsyncClient(transport=transport, base_url="http://slipway") as client:
        yield client


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    return [
        (each.getMessage(), each.__dict__.get("caller"))
        for each in caplog.records
        if each.name == "serving.request_log"
    ]


async def test_over_http(http: httpx.AsyncClient, key: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await http.post("/invocations", json=ROWS, headers={"x-api-key": key})
        await http.post("/invocations", json={}, headers={"x-api-key": key})
        await http.get("/metrics", headers={"x-api-key": key})
        await http.get("/v2", headers={"x-api-key": key})
        await http.post("/invocations", json=ROWS)

    mine = f"key {key.split('_')[1]}"
    answered, refused = ("request answered", mine), ("request refused", mine)
    assert told(caplog) == [answered, refused, refused, answered, ("request refused", None)]
    assert key not in str([each.__dict__ for each in caplog.records])


async def test_over_grpc(engine: Engine, guard: Guard, key: str, caplog: pytest.LogCaptureFixture) -> None:
    where = f"127.0.0.1:{free_port()}"
    server = await start(engine, where, Options(guard=guard))
    mine = (("x-api-key", key),)
    with caplog.at_level(logging.INFO):
        async with grpc.aio.insecure_channel(where) as channel:
            stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
            await stub.ModelInfer(a_request(), metadata=mine, timeout=20)
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.ModelInfer(a_request(model_name="other"), metadata=mine, timeout=20)
            async for _ in stub.ModelStreamInfer(iter([a_request()]), metadata=mine, timeout=20):
                pass
    await server.stop(None)

    assert {caller for _, caller in told(caplog)} == {f"key {key.split('_')[1]}"}
    assert len(told(caplog)) >= 3
