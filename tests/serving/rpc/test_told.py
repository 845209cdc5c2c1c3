"""What the log says of calls: the same as of requests over REST."""

import logging
from collections.abc import Iterator

import grpc
import httpx
import numpy as np
import pytest

from serving.app import build
from serving.engine import Call, Engine
from serving.errors import (
    DeadlineExpired,
    InvalidInput,
    NotReady,
    PredictionFailed,
    QueueFull,
    RateExceeded,
    ServingError,
)
from serving.lineup import Lineup, Served
from serving.protocol import Answer, Rows
from serving.request_log import RequestLog
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.serving.rpc.conftest import ROWS, a_request
from tests.serving.tensor_models import put


class Refusing(Engine):
    """Answers nobody, and says why."""

    why: ServingError

    def at_once(self, served: Served, rows: Rows, call: Call) -> Answer | None:
        raise self.why

    async def answer(self, served: Served, rows: Rows, call: Call) -> Answer:
        raise self.why


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Refusing]:
    put(lineup)
    made = Refusing(lineup)
    made.log = RequestLog("errors")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("why", "level"),
    [
        (QueueFull(5), "WARNING"),
        (NotReady("not yet"), "WARNING"),
        (DeadlineExpired(), "WARNING"),
        (PredictionFailed(), "WARNING"),
        (RateExceeded(1), "INFO"),
        (InvalidInput("too few"), "INFO"),
    ],
    ids=lambda given: given.code if isinstance(given, ServingError) else "",
)
async def test_whose_fault_it_is_does_not_depend_on_the_way(
    engine: Refusing, channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture, why: ServingError, level: str
) -> None:
    engine.why = why
    stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated

    with caplog.at_level(logging.INFO, "serving.request_log"):
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ModelInfer(a_request())
        messages = [each async for each in stub.ModelStreamInfer(iter([a_request()]))]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(build(engine)), base_url="http://slipway") as http:
            body = {"dataframe_split": {"columns": ["a", "b", "c"], "data": np.asarray(ROWS).tolist()}}
            answer = await http.post("/invocations", json=body)

    assert messages[0].error_message == str(why)
    assert answer.json()["detail"] == str(why)
    told = [(each.levelname, vars(each)["route"], vars(each)["code"]) for each in caplog.records]
    assert told == [(level, route, why.code) for route in ("ModelInfer", "ModelStreamInfer", "/invocations")]
