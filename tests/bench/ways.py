"""The ways of asking for a prediction a row that are compared: each makes its client, and gives what asks for rows.

A row is a request of its own, or a message on a gRPC stream; `job_ways.py` has the ways that send all rows in one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import grpc
import httpx
import numpy as np
import requests

from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub

MODEL = "iris"
COLUMNS = ("x", "size")
AT_ONCE = 32
"""Requests that an asynchronous way has on their way."""
SECONDS = 60

Row = tuple[float, float]
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Place:
    """Ports of 127.0.0.1."""

    http: int
    grpc: int

    @property
    def server(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    @property
    def url(self) -> str:
        return f"{self.server}/v1/models/{MODEL}/invocations"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc}"


Ask = Callable[[list[Row]], list[float]]
Way = Callable[[Place], AbstractContextManager[Ask]]
"""Makes a client, which connects when it first asks."""


@contextmanager
def by_requests(place: Place) -> Iterator[Ask]:
    with requests.Session() as session:
        session.trust_env = False  # a proxy has nothing to say about this machine

        def one(row: Row) -> float:
            answer = session.post(place.url, json=_body(row), timeout=SECONDS)
            return _prediction(answer.status_code, answer.json())

        yield lambda rows: [one(row) for row in rows]


@contextmanager
def by_httpx(place: Place) -> Iterator[Ask]:
    with httpx.Client(trust_env=False, timeout=SECONDS) as client:

        def one(row: Row) -> float:
            answer = client.post(place.url, json=_body(row))
            return _prediction(answer.status_code, answer.json())

        yield lambda rows: [one(row) for row in rows]


@contextmanager
def by_httpx_async(place: Place) -> Iterator[Ask]:
    with looped(lambda: httpx.AsyncClient(trust_env=False, timeout=SECONDS)) as (loop, client):

        async def one(row: Row) -> float:
            answer = await client.post(place.url, json=_body(row))
            return _prediction(answer.status_code, answer.json())

        yield lambda rows: loop.run(bounded(one, rows))


@contextmanager
def by_aiohttp(place: Place) -> Iterator[Ask]:
    with looped(lambda: aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS))) as (loop, session):

        async def one(row: Row) -> float:
            async with session.post(place.url, json=_body(row)) as answer:
                return _prediction(answer.status, await answer.json())

        yield lambda rows: loop.run(bounded(one, rows))


@contextmanager
def by_grpc(place: Place) -> Iterator[Ask]:
    with grpc.insecure_channel(place.grpc_address) as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        yield lambda rows: [_number(stub.ModelInfer(each, timeout=SECONDS)) for each in _messages(rows)]


@contextmanager
def by_grpc_async(place: Place) -> Iterator[Ask]:
    with looped(lambda: grpc.aio.insecure_channel(place.grpc_address)) as (loop, channel):
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated

        async def one(message: pb.ModelInferRequest) -> float:
            return _number(await stub.ModelInfer(message, timeout=SECONDS))

        yield lambda rows: loop.run(bounded(one, list(_messages(rows))))


@contextmanager
def by_grpc_stream(place: Place) -> Iterator[Ask]:
    with grpc.insecure_channel(place.grpc_address) as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated

        def every(rows: list[Row]) -> list[float]:
            answers = stub.ModelStreamInfer(_messages(rows), timeout=SECONDS)
            return [_number(each.infer_response) for each in answers]

        yield every


@contextmanager
def looped(made: Callable[[], Any]) -> Iterator[tuple[asyncio.Runner, Any]]:
    """An event loop, and a client that is made in it and closed in it."""

    async def entered() -> Any:
        return await made().__aenter__()

    with asyncio.Runner() as loop:
        client = loop.run(entered())
        try:
            yield loop, client
        finally:
            loop.run(client.__aexit__(None, None, None))


async def bounded(one: Callable[[Asked], Awaitable[Answer]], every: list[Asked]) -> list[Answer]:
    """`one` of each, in their order, so many on their way at once."""
    free = asyncio.Semaphore(AT_ONCE)

    async def when_free(each: Asked) -> Answer:
        async with free:
            return await one(each)

    return await asyncio.gather(*map(when_free, every))


def _body(row: Row) -> dict[str, Any]:
    return {"dataframe_split": {"columns": COLUMNS, "data": [row]}}


def _prediction(status: int, answer: Any) -> float:
    if status != 200:
        raise SystemExit(f"a request was answered with {status}: {answer}")
    (found,) = answer["predictions"]
    return float(found)


def _messages(rows: list[Row]) -> Iterator[pb.ModelInferRequest]:
    for row in rows:
        tensor = pb.ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=[1, len(row)])
        content = np.array(row, np.float64).tobytes()
        yield pb.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[content])


def _number(answer: pb.ModelInferResponse) -> float:
    if answer.raw_output_contents:
        return float(np.frombuffer(answer.raw_output_contents[0], np.float64)[0])
    return float(answer.outputs[0].contents.fp64_contents[0])


ONE_BY_ONE: dict[str, Way] = {
    "requests, in a loop": by_requests,
    "httpx, in a loop": by_httpx,
    f"httpx, asynchronous, {AT_ONCE} at once": by_httpx_async,
    f"aiohttp, {AT_ONCE} at once": by_aiohttp,
    "gRPC, in a loop": by_grpc,
    f"gRPC, asynchronous, {AT_ONCE} at once": by_grpc_async,
    "gRPC, one stream": by_grpc_stream,
}
