from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from serving.lineup import Lineup
from serving.protocol import Answer
from serving.rpc.generated import slipway_pb2 as pb
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from tests.serving.rpc.conftest import a_request, labels
from tests.serving.tensor_models import TensorModel, put


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> PredictionsStub:
    return PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated


def table(rows: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return np.column_stack([np.arange(rows), np.zeros(rows), np.zeros(rows)]).astype(float)


async def test_predict_is_as_model_infer(stub: PredictionsStub, lineup: Lineup) -> None:
    put(lineup)

    assert labels((await stub.Predict(pb.PredictRequest(infer=a_request()))).infer) == [6, 15]


@pytest.mark.parametrize(("size", "firsts"), [(0, [0, 256, 512]), (250, [0, 250, 500]), (1000, [0])])
async def test_a_large_answer_comes_in_chunks(
    stub: PredictionsStub, lineup: Lineup, size: int, firsts: list[int]
) -> None:
    put(lineup)
    request = pb.PredictStreamRequest(infer=a_request(table(600), id="mine"), rows_per_chunk=size)

    chunks = [each async for each in stub.PredictStream(request)]

    assert [each.first_row for each in chunks] == firsts
    assert [label for each in chunks for label in labels(each.infer)] == list(range(600))
    assert {each.infer.id for each in chunks} == {"mine"}


async def test_all_chunks_are_one_versions(stub: PredictionsStub, lineup: Lineup) -> None:
    put(lineup)
    call = stub.PredictStream(pb.PredictStreamRequest(infer=a_request(table(90)), rows_per_chunk=1))

    versions = set()
    async for each in call:
        put(lineup, TensorModel(answers=lambda rows: Answer((np.zeros(rows.count),))), 8)
        versions.add(each.infer.model_version)

    assert versions == {"7"}


async def test_rows_sent_in_parts_have_one_answer(stub: PredictionsStub, lineup: Lineup) -> None:
    put(lineup)

    async def parts() -> AsyncIterator[pb.PredictCollectRequest]:
        for at in range(3):
            yield pb.PredictCollectRequest(infer=a_request(table(10), id=f"part-{at}"))

    answer = await stub.PredictCollect(parts())

    assert (answer.rows, answer.infer.id) == (30, "part-0")
    assert labels(answer.infer) == list(range(10)) * 3


async def test_a_collection_has_a_limit_and_at_least_one_part(stub: PredictionsStub, lineup: Lineup) -> None:
    put(lineup)

    async def parts(count: int) -> AsyncIterator[pb.PredictCollectRequest]:
        for _ in range(count):
            yield pb.PredictCollectRequest(infer=a_request(table(400)))

    for count, status in ((3, StatusCode.RESOURCE_EXHAUSTED), (0, StatusCode.INVALID_ARGUMENT)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.PredictCollect(parts(count))
        assert refused.value.code() is status


async def test_a_request_has_as_many_rows_as_the_server_takes(stub: PredictionsStub, lineup: Lineup) -> None:
    put(lineup)
    many = a_request(table(1001))
    stream = stub.PredictStream(pb.PredictStreamRequest(infer=many))

    for call in (stub.Predict(pb.PredictRequest(infer=many)), stream.read()):
        with pytest.raises(grpc.aio.AioRpcError, match="1000 rows") as refused:
            await call
        assert refused.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_an_error_ends_a_stream_with_its_status(stub: PredictionsStub, lineup: Lineup) -> None:
    put(lineup, TensorModel(probabilities=False))
    request = pb.PredictStreamRequest(infer=a_request())
    request.infer.parameters["predict_proba"].bool_param = True

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [each async for each in stub.PredictStream(request)]

    assert refused.value.code() is StatusCode.INVALID_ARGUMENT
    assert dict(refused.value.trailing_metadata())["x-error-code"] == "no-probabilities"
