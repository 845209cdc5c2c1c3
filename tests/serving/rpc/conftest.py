"""A real gRPC server in the test's own loop, and what speaks to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pytest

from serving.engine import Call, Engine, Limits
from serving.lineup import Lineup, Served
from serving.protocol import Answer, Rows
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.server import Options, start
from tests.servers import free_port

ROWS = np.array([[1.0, 2, 3], [4, 5, 6]])
OPTIONS = Options(receive_bytes=1 << 20, send_bytes=1 << 20, stream_ahead=4, health_poll_seconds=0.01)


class Watched(Engine):
    """Knows how many requests are under way in it: a socket tells nobody when one has arrived, or when it has left."""

    def __init__(self, lineup: Lineup, limits: Limits | None = None) -> None:
        super().__init__(lineup, limits or Limits(request_rows=1000))
        self.under_way = self.most_under_way = 0
        self.calls: list[Call] = []
        self._changed = asyncio.Event()

    async def answer(self, served: Served, rows: Rows, call: Call) -> Answer:
        self.calls.append(call)
        self._count(1)
        try:
            return await super().answer(served, rows, call)
        finally:
            self._count(-1)

    async def has(self, under_way: int) -> None:
        """Wait until so many requests are under way: the one that is predicted, and those that wait for it."""
        async with asyncio.timeout(20):
            while self.under_way != under_way:
                self._changed.clear()
                await self._changed.wait()

    def _count(self, change: int) -> None:
        self.under_way += change
        self.most_under_way = max(self.most_under_way, self.under_way)
        self._changed.set()


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Watched]:
    made = Watched(lineup)
    yield made
    made.close()


@pytest.fixture
async def address(engine: Engine) -> AsyncIterator[str]:
    where = f"127.0.0.1:{free_port()}"
    server = await start(engine, where, OPTIONS)
    yield where
    await server.stop(None)


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address) as made:
        yield made


def a_request(
    rows: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]" = ROWS, **fields: object
) -> pb.ModelInferRequest:
    """Of raw numbers, one tensor for all columns."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=rows.shape)
    filled = {"model_name": "iris", "inputs": [tensor], "raw_input_contents": [rows.tobytes()], **fields}
    return pb.ModelInferRequest(**filled)  # type: ignore[arg-type]  # by field name


def labels(response: pb.ModelInferResponse) -> list[int]:
    (raw,) = response.raw_output_contents
    return [int(each) for each in np.frombuffer(raw, "<i8")]
