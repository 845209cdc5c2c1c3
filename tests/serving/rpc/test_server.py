import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from serving.engine import Engine
from serving.lineup import Lineup, Standing
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.server import start
from tests.servers import free_port
from tests.serving.rpc.conftest import OPTIONS
from tests.serving.tensor_models import put

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


async def test_health_follows_readiness(channel: grpc.aio.Channel, lineup: Lineup) -> None:
    health: Any = HealthStub(channel)
    put(lineup)

    async def status(service: str) -> int:
        return int((await health.Check(HealthCheckRequest(service=service))).status)

    assert [await status(each) for each in ("", "iris", "wine")] == [NOT_SERVING, SERVING, NOT_SERVING]
    assert await status("inference.GRPCInferenceService") == NOT_SERVING
    lineup.put(Standing("wine", lineup.served("iris")))
    assert [await status(each) for each in ("", "wine", "slipway.v1.Predictions")] == [SERVING] * 3
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await status("secret")
    assert refused.value.code() is StatusCode.NOT_FOUND


async def test_a_watcher_hears_of_every_change(channel: grpc.aio.Channel, lineup: Lineup) -> None:
    health: Any = HealthStub(channel)
    watch = health.Watch(HealthCheckRequest(service="iris"))

    async with asyncio.timeout(10):
        first = await watch.read()
        put(lineup)
        second = await watch.read()
    watch.cancel()

    assert [first.status, second.status] == [NOT_SERVING, SERVING]


async def test_reflection_tells_every_service_and_its_messages(channel: grpc.aio.Channel) -> None:
    async def questions() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(list_services="")
        for name in listed:
            yield ServerReflectionRequest(file_containing_symbol=name)

    listed = [
        "inference.GRPCInferenceService",
        "slipway.v1.Predictions",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    stub: Any = ServerReflectionStub(cast(Any, channel))

    names, *files = [each async for each in stub.ServerReflectionInfo(questions())]

    assert {each.name for each in names.list_services_response.service} == set(listed)
    assert all(each.file_descriptor_response.file_descriptor_proto for each in files)


async def test_two_workers_listen_on_one_port(engine: Engine, address: str) -> None:
    other = await start(engine, address)
    await other.stop(None)


async def test_a_port_that_cannot_be_had_is_an_oserror(engine: Engine) -> None:
    with pytest.raises(OSError, match=r"gRPC cannot listen on 192\.0\.2\.1:1"):
        await start(engine, "192.0.2.1:1")


async def test_a_connection_too_many_goes_away_and_its_client_knows(engine: Engine) -> None:
    where = f"127.0.0.1:{free_port()}"
    server = await start(engine, where, replace(OPTIONS, connections=1))
    apart = [("grpc.use_local_subchannel_pool", 1)]  # or both channels would share one connection

    async def live(channel: grpc.aio.Channel) -> bool:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        return bool((await stub.ServerLive(pb.ServerLiveRequest(), timeout=20)).live)

    async with (
        grpc.aio.insecure_channel(where, options=apart) as first,
        grpc.aio.insecure_channel(where, options=apart) as second,
    ):
        assert await live(first)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await live(second)
        assert await live(first)
    await server.stop(None)

    assert refused.value.code() is StatusCode.UNAVAILABLE
