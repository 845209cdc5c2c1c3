"""How calls over gRPC are counted."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.errors import DeadlineExpired
from serving.lineup import Lineup, Standing
from serving.metrics.declared import GONE
from serving.protocol import Answer, Rows
from serving.reporter import Reporter
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated import slipway_pb2
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from tests.serving.rpc.conftest import Watched, a_request
from tests.serving.samples import Samples, read
from tests.serving.tensor_models import Held, TensorModel, put

OK = ("iris", "7", "ok")


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated


@pytest.fixture
def predictions(channel: grpc.aio.Channel) -> PredictionsStub:
    return PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated


@pytest.fixture
def held() -> Iterator[Held]:
    model = Held()
    yield model
    model.release.set()


async def told(engine: Watched) -> Samples:
    text, _ = await Reporter(engine).text("")
    return read(text.decode())


async def counted(engine: Watched) -> dict[tuple[str, ...], float]:
    """Requests by route, model, version and code."""
    return {
        tuple(labels[each] for each in ("route", "model", "version", "code")): count
        for labels, count in (await told(engine)).series("slipway_requests_total", protocol="grpc")
    }


async def eventually_counted(engine: Watched, wanted: dict[tuple[str, ...], float]) -> None:
    async with asyncio.timeout(20):
        while await counted(engine) != wanted:
            await asyncio.to_thread(threading.Event().wait, 0.01)


async def test_an_answer_has_a_time_in_every_phase(
    stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup
) -> None:
    put(lineup, inline_rows=0)

    for _ in range(3):
        await stub.ModelInfer(a_request())

    assert await counted(engine) == {("ModelInfer", *OK): 3}
    times = list((await told(engine)).series("slipway_request_seconds_sum", route="ModelInfer"))
    assert {labels["phase"] for labels, _ in times} == {"queue", "decode", "predict", "encode", "total"}
    assert all(seconds > 0 for _, seconds in times)


@pytest.mark.parametrize(
    ("request_", "labels"),
    [
        (a_request(model_name="whatever"), ("", "", "unknown-model")),
        (a_request(model_name="wine"), ("", "", "not-ready")),
        (a_request(raw_input_contents=[b"short"]), ("iris", "7", "invalid-input")),
    ],
)
async def test_a_refusal_is_counted_with_its_code(
    stub: GRPCInferenceServiceStub,
    engine: Watched,
    lineup: Lineup,
    request_: pb.ModelInferRequest,
    labels: tuple[str, ...],
) -> None:
    put(lineup)

    with pytest.raises(grpc.aio.AioRpcError):
        await stub.ModelInfer(request_)

    assert await counted(engine) == {("ModelInfer", *labels): 1}
    assert (await told(engine)).value("slipway_request_seconds_count") == 0


async def test_a_crash_is_an_internal_error(stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup) -> None:
    def odd(_rows: Rows) -> Answer:
        return Answer((None,))  # type: ignore[arg-type]  # what nobody expects

    put(lineup, TensorModel(answers=odd))

    with pytest.raises(grpc.aio.AioRpcError):
        await stub.ModelInfer(a_request())

    assert await counted(engine) == {("ModelInfer", "iris", "7", "internal-error"): 1}


async def test_each_message_of_a_stream_is_a_request(
    stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup
) -> None:
    put(lineup)

    async def messages() -> AsyncIterator[pb.ModelInferRequest]:
        for name in ("iris", "mine", "iris", "iris"):
            yield a_request(model_name=name)

    answers = [each async for each in stub.ModelStreamInfer(messages())]

    assert len(answers) == 4
    route = "ModelStreamInfer"
    assert await counted(engine) == {(route, *OK): 3, (route, "", "", "unknown-model"): 1}
    assert (await told(engine)).value("slipway_request_seconds_count", route=route, phase="total") == 3


async def test_a_large_answer_and_rows_in_parts_are_one_request_each(
    predictions: PredictionsStub, engine: Watched, lineup: Lineup
) -> None:
    put(lineup)

    async def parts() -> AsyncIterator[slipway_pb2.PredictCollectRequest]:
        for _ in range(3):
            yield slipway_pb2.PredictCollectRequest(infer=a_request())

    await predictions.Predict(slipway_pb2.PredictRequest(infer=a_request()))
    await predictions.PredictCollect(parts())
    request = slipway_pb2.PredictStreamRequest(infer=a_request(), rows_per_chunk=1)
    assert len([each async for each in predictions.PredictStream(request)]) == 2

    assert await counted(engine) == {(route, *OK): 1 for route in ("Predict", "PredictCollect", "PredictStream")}
    timed = {labels["route"] for labels, _ in (await told(engine)).series("slipway_request_seconds_count")}
    assert timed == {"Predict"}


@pytest.mark.parametrize("route", ["ModelInfer", "PredictStream"])
async def test_who_hangs_up_is_gone(
    channel: grpc.aio.Channel, engine: Watched, lineup: Lineup, held: Held, route: str
) -> None:
    put(lineup, TensorModel(answers=held), inline_rows=0)
    reading: list[asyncio.Future[object]] = []
    if route == "ModelInfer":
        call = GRPCInferenceServiceStub(channel).ModelInfer(a_request())  # type: ignore[no-untyped-call]
    else:
        predictions = PredictionsStub(channel)  # type: ignore[no-untyped-call]
        call = predictions.PredictStream(slipway_pb2.PredictStreamRequest(infer=a_request()))
        reading.append(asyncio.ensure_future(call.read()))
    await engine.has(under_way=1)

    call.cancel()

    await eventually_counted(engine, {(route, "iris", "7", GONE): 1})
    await asyncio.gather(*reading, return_exceptions=True)


@pytest.mark.parametrize("version", [("iris", "7"), ("", "")], ids=["in the queue", "before"])
async def test_a_deadline_that_passes_is_no_caller_who_hung_up(
    stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup, held: Held, version: tuple[str, str]
) -> None:
    """In the queue, where we notice it, and before, where gRPC does."""
    put(lineup, TensorModel(answers=held), inline_rows=0)
    if not version[0]:
        lineup.put(Standing("iris", coming=True))
    wanted, seconds = ("ModelInfer", *version, DeadlineExpired.code), 0.1

    async with asyncio.timeout(30):
        while wanted not in await counted(engine):  # with more time, until it comes that far on a busy machine
            seconds = min(2 * seconds, 4)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ModelInfer(a_request(), timeout=seconds)
            assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    assert {code for *_, code in await counted(engine)} == {DeadlineExpired.code}


async def test_what_predicts_nothing_is_another_way(
    stub: GRPCInferenceServiceStub, channel: grpc.aio.Channel, engine: Watched, lineup: Lineup
) -> None:
    put(lineup)

    await stub.ServerLive(pb.ServerLiveRequest())
    await stub.ModelMetadata(pb.ModelMetadataRequest(name="iris"))
    health: Any = HealthStub(channel)
    await health.Check(HealthCheckRequest())  # not counted

    assert await counted(engine) == {("other", "", "", "ok"): 2}
