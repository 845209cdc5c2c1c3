"""Who has a stream open is looked at for each part of it: keys are revoked and expire meanwhile, and rates bound it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import numpy as np
import pytest
import uvicorn
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from serving.access import key_file
from serving.access.guard import Guard
from serving.access.keys import Keys
from serving.access.rates import Rates
from serving.app import More, build
from serving.engine import Engine
from serving.lineup import Lineup
from serving.rest.lines import MEDIA_TYPE
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated import slipway_pb2 as own
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from tests.servers import eventually, free_port
from tests.serving.access.conftest import MakeKey
from tests.serving.rpc.conftest import a_request
from tests.serving.tensor_models import put

ROW = b"[1, 2, 3]\n"
BURST = 3


@pytest.fixture
def key(make_key: MakeKey) -> str:
    return make_key("predict")


@pytest.fixture
def slow_key(make_key: MakeKey) -> str:
    return make_key("predict", rate=10)


class Counted(Rates):
    """By a clock that moves on only while somebody is kept waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.let_in = self.kept_waiting = 0
        super().__init__(None, BURST, clock=lambda: self.now)

    def wait(self, name: str, own: float | None = None) -> float:
        found = super().wait(name, own)
        self.now += found
        self.let_in += not found
        self.kept_waiting += bool(found)
        return found


@pytest.fixture
def rates() -> Counted:
    return Counted()


@pytest.fixture
def guard(key: str, slow_key: str, key_path: Path, rates: Counted) -> Guard:
    return Guard(Keys(key_path), None, rates)


def revoke(guard: Guard, path: Path) -> None:
    with key_file.changing(path) as records:
        records.clear()
    assert guard.keys is not None
    guard.keys.look()


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Engine]:
    put(lineup)
    made = Engine(lineup)
    yield made
    made.close()


@pytest.fixture
async def url(engine: Engine, guard: Guard) -> AsyncIterator[str]:
    port = free_port()
    app = build(engine, more=More(guard=guard))
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    running = asyncio.create_task(server.serve())
    await asyncio.to_thread(eventually, lambda: server.started)
    yield f"http://127.0.0.1:{port}/invocations"
    server.should_exit = True
    await running


def headers(key: str) -> dict[str, str]:
    return {"x-api-key": key, "content-type": MEDIA_TYPE}


async def test_lines_end_once_their_key_is_revoked(url: str, guard: Guard, key: str, key_path: Path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers(key).items())
    part = b"%x\r\n%s\r\n" % (len(ROW), ROW)
    writer.write(f"POST /invocations HTTP/1.1\r\nhost: x\r\n{head}transfer-encoding: chunked\r\n\r\n".encode() + part)
    async with asyncio.timeout(10):
        await reader.readuntil(b'{"prediction":6}\n')
        revoke(guard, key_path)
        writer.write(part)
        last = await reader.readuntil(b"}\n")
        end = await reader.readuntil(b"0\r\n\r\n")
    writer.close()

    said = "the key is not known here, or has expired"
    assert json.loads(last.splitlines()[-1]) == {"error": said, "code": "unauthenticated", "row": 2}
    assert b"prediction" not in last + end


async def test_lines_that_are_predicted_together_count_as_one_request(url: str, slow_key: str, rates: Counted) -> None:
    """Whoever sends more than his rate is kept waiting, and loses nothing."""
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await http.post(url, content=ROW * 256 * (BURST + 4), headers=headers(slow_key))

    assert len(answer.text.splitlines()) == 256 * (BURST + 4)
    assert "error" not in answer.text
    assert (rates.let_in, rates.kept_waiting) == (BURST + 4, 4)


async def test_lines_whose_deadline_comes_before_their_turn_end_at_once(url: str, slow_key: str) -> None:
    async with httpx.AsyncClient(timeout=20) as http:
        limited = {**headers(slow_key), "x-request-timeout-ms": "300"}
        answer = await http.post(url, content=ROW * 256 * (BURST + 7), headers=limited)

    assert json.loads(answer.text.splitlines()[-1])["code"] == "deadline-expired"


async def test_a_stream_of_messages_ends_once_its_key_is_revoked(
    channel: grpc.aio.Channel, guard: Guard, key: str, key_path: Path
) -> None:
    stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
    call = stub.ModelStreamInfer(metadata=(("x-api-key", key),), timeout=20)
    await call.write(a_request())
    first = await call.read()
    assert isinstance(first, pb.ModelStreamInferResponse)
    assert first.error_message == ""

    revoke(guard, key_path)
    await call.write(a_request())

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_reflection_ends_once_its_key_is_revoked(
    channel: grpc.aio.Channel, guard: Guard, key: str, key_path: Path
) -> None:
    stub: Any = ServerReflectionStub(cast(Any, channel))
    call = stub.ServerReflectionInfo(metadata=(("x-api-key", key),), timeout=20)
    question = ServerReflectionRequest(list_services="")
    await call.write(question)
    assert (await call.read()).list_services_response.service

    revoke(guard, key_path)
    await call.write(question)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.trailing_metadata()["x-error-code"] == "unauthenticated"


async def test_an_answer_in_parts_ends_once_its_key_is_revoked(
    channel: grpc.aio.Channel, guard: Guard, key: str, key_path: Path
) -> None:
    stub = PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated
    rows = np.ones((20_000, 3))
    call = stub.PredictStream(
        own.PredictStreamRequest(infer=a_request(rows), rows_per_chunk=1), metadata=(("x-api-key", key),), timeout=20
    )
    first = await anext(aiter(call))
    assert first.first_row == 0

    revoke(guard, key_path)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        _ = [each async for each in call]
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_each_message_of_a_collection_counts(channel: grpc.aio.Channel, slow_key: str, rates: Counted) -> None:
    stub = PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated
    parts = [own.PredictCollectRequest(infer=a_request())] * (BURST + 4)

    answer = await stub.PredictCollect(iter(parts), metadata=(("x-api-key", slow_key),), timeout=20)

    assert answer.rows == 2 * len(parts)
    assert (rates.let_in, rates.kept_waiting) == (BURST + 4, 4)
