from typing import Any, cast

import grpc
import pytest
from grpc import StatusCode

from serving.lineup import Lineup
from tests.serving.tensor_models import put

SERVICE, OWN = "/inference.GRPCInferenceService/", "/slipway.v1.Predictions/"


@pytest.mark.parametrize(
    "path", [f"{SERVICE}ModelInfer", f"{SERVICE}ModelReady", f"{OWN}Predict", "/grpc.health.v1.Health/Check"]
)
async def test_bytes_that_are_no_message_are_the_callers_fault(
    channel: grpc.aio.Channel, lineup: Lineup, path: str
) -> None:
    put(lineup)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await cast(Any, channel).unary_unary(path)(b"\xff\xff\xff")

    assert refused.value.code() is StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "the bytes are no message of this method"


@pytest.mark.parametrize("path", [f"{SERVICE}ModelStreamInfer", f"{OWN}PredictCollect"])
async def test_in_a_stream_they_end_it(channel: grpc.aio.Channel, lineup: Lineup, path: str) -> None:
    put(lineup)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        _ = [each async for each in cast(Any, channel).stream_stream(path)(iter([b"\xff\xff\xff"]))]

    assert refused.value.code() is StatusCode.INVALID_ARGUMENT
