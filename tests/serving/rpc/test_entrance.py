import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.access import key_file, secret
from serving.access.guard import Guard
from serving.access.key_file import Record
from serving.access.keys import Keys
from serving.access.rates import Rates
from serving.engine import Engine
from serving.lag import Lag
from serving.lineup import Lineup
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.server import start
from tests.servers import free_port
from tests.serving.rpc.conftest import OPTIONS, a_request
from tests.serving.tensor_models import put

INFER = "/inference.GRPCInferenceService/ModelInfer"


class Full(Lag):
    """In an overload, every round of it has begun what it may."""

    def admits_call(self) -> bool:
        return not self.overloaded


@pytest.fixture
def lag() -> Lag:
    return Full(0.03)


@pytest.fixture
def key(tmp_path: Path) -> str:
    made = secret.made()
    with key_file.changing(tmp_path / "keys.json") as records:
        records[made.id] = Record(made.id, "a test", made.digest, ("predict",), datetime.now(UTC))
    return made.key


@pytest.fixture
async def channel(engine: Engine, lag: Lag, key: str, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    where = f"127.0.0.1:{free_port()}"
    guard = Guard(Keys(tmp_path / "keys.json"), None, Rates(None, 1))
    server = await start(engine, where, replace(OPTIONS, guard=guard, lag=lag))
    async with grpc.aio.insecure_channel(where) as made:
        yield made
    await server.stop(None)


async def test_who_shows_no_key_is_told_so_before_a_message_is_read(channel: grpc.aio.Channel) -> None:
    async def none_yet() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    asking: Any = channel.stream_unary(INFER)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asyncio.wait_for(asking(none_yet()), timeout=20)

    assert refused.value.code() is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(("shown", "status"), [(False, StatusCode.UNAUTHENTICATED), (True, StatusCode.UNIMPLEMENTED)])
async def test_what_there_is_to_ask_for_is_told_to_callers_who_are_known(
    channel: grpc.aio.Channel, key: str, shown: bool, status: StatusCode
) -> None:
    asking: Any = channel.unary_unary("/slipway.v1.Nothing/Here")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asking(b"", metadata=(("x-api-key", key),) if shown else ())

    assert refused.value.code() is status


async def test_in_an_overload_a_prediction_is_refused_with_a_time_to_come_back_and_nothing_else_is(
    channel: grpc.aio.Channel, lineup: Lineup, lag: Lag, key: str
) -> None:
    put(lineup)
    stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
    health: Any = HealthStub(channel)
    by = {"metadata": (("x-api-key", key),)}
    assert (await stub.ModelInfer(a_request(), **by)).model_name == "iris"

    lag.overloaded = True
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ModelInfer(a_request(), **by)

    trailers = dict(refused.value.trailing_metadata() or ())
    assert refused.value.code() is StatusCode.RESOURCE_EXHAUSTED
    assert (trailers["x-error-code"], trailers["grpc-retry-pushback-ms"]) == ("queue-full", "1000")
    assert (await stub.ModelReady(pb.ModelReadyRequest(name="iris"), **by)).ready
    assert (await health.Check(HealthCheckRequest(service="iris"))).status == HealthCheckResponse.SERVING


async def test_whatever_goes_wrong_at_the_entrance_is_not_told_to_strangers(
    channel: grpc.aio.Channel, tmp_path: Path, engine: Engine
) -> None:
    class Broken(Guard):
        """Its file has been taken away under it."""

        async def caller(self, _headers: object) -> Any:
            raise RuntimeError("a path of this machine")

    where = f"127.0.0.1:{free_port()}"
    server = await start(
        engine, where, replace(OPTIONS, guard=Broken(Keys(tmp_path / "keys.json"), None, Rates(None, 1)))
    )
    async with grpc.aio.insecure_channel(where) as made:
        asking: Any = made.unary_unary(INFER)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asking(b"")
    await server.stop(None)

    assert refused.value.code() is StatusCode.INTERNAL
    assert "path" not in (refused.value.details() or "")
