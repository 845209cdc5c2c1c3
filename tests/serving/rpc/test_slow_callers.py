"""gRPC callers who do not take their answers, or hang up in the midst of them: others do not notice, nothing stays."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from serving.lineup import Lineup
from serving.protocol import Answer, Rows
from serving.rpc.generated import open_inference_pb2 as oip
from serving.rpc.generated import slipway_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from tests.serving.rpc.conftest import Watched, a_request, labels
from tests.serving.tensor_models import TensorModel, put

ROWS, WIDE = 1000, 8000
"""Of an answer: 64 KB a row."""
AHEAD = 200
"""Rows that may be on their way to somebody who takes none: 12 MiB, in sockets and windows."""
CALLERS = 8


@pytest.fixture(autouse=True)
def wide(lineup: Lineup) -> None:
    def answer(rows: Rows) -> Answer:
        return Answer((np.zeros((rows.count, WIDE)),))

    put(lineup, TensorModel(answers=answer, probabilities=False))


def a_stream(stub: PredictionsStub) -> Any:
    """Of a thousand messages of 64 KB each."""
    rows = np.zeros((ROWS, 3))
    return stub.PredictStream(pb.PredictStreamRequest(infer=a_request(rows), rows_per_chunk=1))


@pytest.fixture
async def impolite(address: str) -> AsyncIterator[PredictionsStub]:
    """On connections of its own."""
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated


async def neighbours(channel: grpc.aio.Channel) -> None:
    """Others are answered, while those who are slow take nothing."""
    stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
    for _ in range(20):
        response = await stub.ModelInfer(a_request(np.zeros((1, 3))), timeout=10)
        assert len(labels(response)) == WIDE


async def at_rest(engine: Watched) -> int:
    """How many parts were asked for, once no more are."""
    async with asyncio.timeout(20):
        while True:
            before = len(engine.calls)
            await asyncio.sleep(0.3)
            if len(engine.calls) == before:
                return before


async def gone(before: set["asyncio.Task[Any]"]) -> None:
    """Wait until this loop, which is the server's too, has no task that it did not have before."""
    async with asyncio.timeout(20):
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


async def test_who_takes_nothing_of_a_stream_is_waited_for_and_costs_no_more(
    impolite: PredictionsStub, channel: grpc.aio.Channel, engine: Watched
) -> None:
    await neighbours(channel)
    before = asyncio.all_tasks()
    streams = [a_stream(impolite) for _ in range(CALLERS)]
    for each in streams:
        await each.read()

    asked = await at_rest(engine)
    await neighbours(channel)

    assert asked < CALLERS * AHEAD
    for each in streams:
        each.cancel()
    await gone(before)
    assert await at_rest(engine) == asked + 20  # the neighbours'
    assert engine.under_way == 0


async def test_who_takes_its_time_gets_all_of_it(impolite: PredictionsStub, engine: Watched) -> None:
    stream = a_stream(impolite)
    await stream.read()
    await at_rest(engine)

    firsts = []
    while (part := await stream.read()) is not grpc.aio.EOF:
        firsts.append(part.first_row)
    assert firsts == list(range(1, ROWS))


HANGS_UP = """
import os, sys
import grpc
address, callers = sys.argv[1], int(sys.argv[2])
path, request = "/slipway.v1.Predictions/PredictStream", sys.stdin.buffer.read()
streams = []
for _ in range(callers):
    channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
    streams.append((channel, channel.unary_stream(path)(request)))
for _, stream in streams:
    next(stream)
os._exit(0)
"""
"""Once the first part of each answer is here, and without a word: the kernel resets what is open."""


async def test_who_hangs_up_in_the_midst_of_an_answer_leaves_nothing_behind(
    address: str, channel: grpc.aio.Channel, engine: Watched
) -> None:
    await neighbours(channel)
    before = asyncio.all_tasks()
    request = pb.PredictStreamRequest(infer=a_request(np.zeros((ROWS, 3))), rows_per_chunk=1)
    rude = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGS_UP, address, str(CALLERS)), stdin=asyncio.subprocess.PIPE
    )
    await rude.communicate(request.SerializeToString())
    assert rude.returncode == 0
    await neighbours(channel)

    await gone(before)
    asked = await at_rest(engine)
    assert CALLERS < asked < CALLERS * AHEAD
    assert engine.under_way == 0


async def test_who_asks_on_and_on_and_takes_no_answer_is_read_no_further(
    address: str, channel: grpc.aio.Channel, engine: Watched
) -> None:
    """A stream of questions: what is not taken holds back what is read."""
    await neighbours(channel)
    before = asyncio.all_tasks()

    async def questions() -> AsyncIterator[oip.ModelInferRequest]:
        while True:
            yield a_request(np.zeros((10, 3)))

    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as own:
        stream = GRPCInferenceServiceStub(own).ModelStreamInfer(questions())  # type: ignore[no-untyped-call]  # generated
        await stream.read()
        asked = await at_rest(engine)
        await neighbours(channel)

        assert asked < AHEAD
    await gone(before)
    assert await at_rest(engine) == asked + 20
    assert engine.under_way == 0
