"""A real gRPC server in the test's own loop, and what speaks to it."""

from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pytest

from serving.engine import Engine
from serving.lineup import Lineup
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.server import Options, start
from tests.servers import free_port

ROWS = np.array([[1.0, 2, 3], [4, 5, 6]])
OPTIONS = Options(receive_bytes=1 << 20, send_bytes=1 << 20, stream_ahead=4, collect_rows=100, health_poll_seconds=0.01)


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Engine]:
    made = Engine(lineup)
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
