"""A candidate over gRPC: a caller gets the version that it gets over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from serving.protocol import Answer, Column, Rows, Signature
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated import slipway_pb2
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from serving.settings import KEY_HEADER
from serving.trials.traffic import on_canary
from tests.fakes import a_trial, a_version
from tests.servers import eventually
from tests.serving.rpc.conftest import ROWS, Watched, a_request, labels
from tests.serving.tensor_models import TensorModel, total
from tests.serving.trials.on_trial import on_trial

KEYS = [f"tenant-{number}" for number in range(40)]


def wrong(rows: Rows) -> Answer:
    return Answer((total(rows).outputs[0] + 1,))


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated


@pytest.fixture
def predictions(channel: grpc.aio.Channel) -> PredictionsStub:
    return PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated


async def test_a_callers_key_in_the_metadata_decides(stub: GRPCInferenceServiceStub, engine: Watched) -> None:
    on_trial("canary", 30, candidate=TensorModel(answers=wrong), engine=engine)
    expected = ["7" if on_canary(a_trial(a_version(7), percent=30), key.encode()) else "6" for key in KEYS]

    answers = [await stub.ModelInfer(a_request(), metadata=[(KEY_HEADER, key)]) for key in KEYS]

    assert [answer.model_version for answer in answers] == expected
    assert {(answer.model_version, labels(answer)[0]) for answer in answers} == {("6", 6), ("7", 7)}


async def test_a_version_that_is_named_answers(stub: GRPCInferenceServiceStub, engine: Watched) -> None:
    trial = on_trial("shadow", engine=engine)

    answers = [await stub.ModelInfer(a_request(model_version=version)) for version in ("6", "7")]
    with pytest.raises(grpc.aio.AioRpcError, match="is not served here"):
        await stub.ModelInfer(a_request(model_version="8"))

    assert [answer.model_version for answer in answers] == ["6", "7"]
    assert trial.tally.candidate.requests == 0


async def test_a_shadow_hears_every_request_and_answers_nobody(stub: GRPCInferenceServiceStub, engine: Watched) -> None:
    trial = on_trial("shadow", candidate=TensorModel(answers=wrong), engine=engine)

    answers = [await stub.ModelInfer(a_request()) for _ in range(4)]

    assert {(answer.model_version, labels(answer)[0]) for answer in answers} == {("6", 6)}
    assert await asyncio.to_thread(eventually, lambda: trial.tally.disagreed == 4)


async def test_every_message_of_a_stream_gets_the_version_of_its_caller(
    stub: GRPCInferenceServiceStub, engine: Watched
) -> None:
    on_trial("canary", 50, engine=engine)

    async def several() -> AsyncIterator[pb.ModelInferRequest]:
        for _ in range(5):
            yield a_request()

    for key in KEYS[:6]:
        stream = stub.ModelStreamInfer(several(), metadata=[(KEY_HEADER, key)])
        versions = {answer.infer_response.model_version async for answer in stream}

        assert versions == {"7" if on_canary(a_trial(a_version(7), percent=50), key.encode()) else "6"}


async def test_a_large_answer_and_a_collected_one_come_from_the_canary_too(
    predictions: PredictionsStub, engine: Watched
) -> None:
    trial = on_trial("canary", 100, engine=engine)

    async def parts() -> AsyncIterator[slipway_pb2.PredictCollectRequest]:
        for _ in range(2):
            yield slipway_pb2.PredictCollectRequest(infer=a_request())

    asked = slipway_pb2.PredictStreamRequest(infer=a_request(), rows_per_chunk=1)
    chunks = {chunk.infer.model_version async for chunk in predictions.PredictStream(asked)}
    collected = await predictions.PredictCollect(parts())

    assert chunks == {"7"}
    assert collected.infer.model_version == "7"
    assert trial.tally.candidate.requests == 4
    assert ROWS.shape[0] == 2


async def test_what_the_canary_alone_refuses_is_its_error(stub: GRPCInferenceServiceStub, engine: Watched) -> None:
    more = Signature(tuple(Column(name, "double") for name in "abcd"), (Column("label", "long"),))
    trial = on_trial("canary", 100, candidate=TensorModel(more), engine=engine)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ModelInfer(a_request())

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await asyncio.to_thread(eventually, lambda: trial.tally.candidate.errors == 1)


async def test_metadata_that_are_no_text_are_a_key_too(stub: GRPCInferenceServiceStub, engine: Watched) -> None:
    engine.key_header = "caller-bin"
    on_trial("canary", 50, engine=engine)
    trial = a_trial(a_version(7), percent=50)

    for key in (b"\x00\xff", b"\x01", b"ada", b"\x02\x03"):
        answer = await stub.ModelInfer(a_request(), metadata=[("caller-bin", key)])
        assert answer.model_version == ("7" if on_canary(trial, key) else "6")
