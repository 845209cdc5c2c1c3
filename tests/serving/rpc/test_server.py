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
from serving.rpc.health import Health
from serving.rpc.server import start
from tests.servers import free_port
from tests.serving.rpc.conftest import OPTIONS
from tests.serving.tensor_models import put


class Counting(Lineup):
    """Knows how often it was looked at."""

    looks = 0

    def standing(self, name: str | None = None) -> Standing:
        self.looks += 1
        return super().standing(name)


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


async def test_watchers_cost_nothing_until_there_is_something_to_tell(engine: Engine) -> None:
    """Nobody asks them for a key, so that there may be many: each hears of the change, and one look serves them all."""
    lineup = Counting(("iris", "wine"))
    health = Health(lineup, frozenset(), poll_seconds=0.02)
    watches: list[Any] = [health.Watch(HealthCheckRequest(service="iris"), cast(Any, None)) for _ in range(500)]
    assert {(await anext(each)).status for each in watches} == {NOT_SERVING}

    nexts = [asyncio.ensure_future(anext(each)) for each in watches]
    await asyncio.sleep(0.1)
    before = lineup.looks
    await asyncio.sleep(0.4)
    looks = lineup.looks - before
    put(lineup)
    async with asyncio.timeout(10):
        heard = await asyncio.gather(*nexts)
    for each in watches:
        await each.aclose()

    assert 0 < looks < 100
    assert {each.status for each in heard} == {SERVING}
    await asyncio.sleep(0.05)
    before = lineup.looks
    await asyncio.sleep(0.2)
    assert lineup.looks == before  # nobody looks for nobody


async def test_one_connection_has_a_thousand_calls_at_most(address: str, channel: grpc.aio.Channel) -> None:
    health: Any = HealthStub(channel)
    watches = [health.Watch(HealthCheckRequest(service="iris")) for _ in range(1001)]
    async with asyncio.timeout(30):
        for each in watches[:1000]:
            await each.read()

    late = asyncio.ensure_future(watches[1000].read())
    done, _ = await asyncio.wait([late], timeout=0.5)
    assert not done
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as another:
        neighbour: Any = HealthStub(another)
        assert (await neighbour.Check(HealthCheckRequest(service="iris"))).status == NOT_SERVING  # others do not notice
    watches[0].cancel()

    assert (await asyncio.wait_for(late, 10)).status == NOT_SERVING
    for each in watches:
        each.cancel()


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_what_is_no_question_is_refused_and_logged_nowhere(
    channel: grpc.aio.Channel, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    make: Any = channel.unary_unary if method == "Check" else channel.unary_stream
    call: Any = make(f"/grpc.health.v1.Health/{method}")(b"\xff\xff\xff")

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (call if method == "Check" else call.read())

    assert refused.value.code() is StatusCode.INVALID_ARGUMENT
    assert caplog.records == []


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
