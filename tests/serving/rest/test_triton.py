"""tritonclient, unmodified, over HTTP: https://github.com/triton-inference-server/client"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
from tritonclient import http as triton

from serving.app import build
from serving.engine import Engine
from serving.lineup import Lineup
from serving.protocol import Answer, Column, Signature
from tests.servers import eventually, free_port
from tests.serving.tensor_models import TensorModel, put

ROWS = np.array([[1.0, 2, 3], [4, 5, 6]])

Client = Any  # of tritonclient, which has no annotations
Run = Callable[[Callable[[Client], Any]], Any]


@pytest.fixture
async def call(lineup: Lineup) -> AsyncIterator[Run]:
    """Run something with a client of a real server over `lineup`, in a thread."""
    port = free_port()
    config = uvicorn.Config(build(Engine(lineup)), port=port, log_config=None, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    await asyncio.to_thread(eventually, lambda: server.started)

    @contextmanager
    def client() -> Iterator[Client]:
        made = triton.InferenceServerClient(f"127.0.0.1:{port}")
        try:
            yield made
        finally:
            made.close()

    def with_client(what: Callable[[Client], Any]) -> Any:
        with client() as made:
            return what(made)

    yield lambda what: asyncio.to_thread(with_client, what)
    server.should_exit = True
    await running


def tensor(name: str, values: Any, datatype: str, *, binary: bool = True) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


async def test_health_and_metadata(call: Run, lineup: Lineup) -> None:
    put(lineup)

    def look(client: Client) -> list[Any]:
        return [
            client.is_server_live(),
            client.is_server_ready(),  # not while `wine` waits
            client.is_model_ready("iris"),
            client.is_model_ready("iris", "8"),
            client.get_server_metadata()["extensions"],
            client.get_model_metadata("iris")["versions"],
        ]

    assert await call(look) == [True, False, True, False, ["binary_tensor_data"], ["7"]]


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
async def test_infer_with_a_compressed_body(call: Run, lineup: Lineup, packing: str) -> None:
    put(lineup)

    answer = await call(
        lambda client: client.infer("iris", [tensor("rows", ROWS, "FP64")], request_compression_algorithm=packing)
    )

    assert answer.as_numpy("label").tolist() == [6, 15]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
async def test_infer_in_json_and_binary(call: Run, lineup: Lineup, binary_in: bool, binary_out: bool) -> None:
    put(lineup)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("predictions", "predict_proba")]

    def ask(client: Client) -> Any:
        inputs = [tensor("rows", ROWS, "FP64", binary=binary_in)]
        return client.infer("iris", inputs, outputs=outputs, request_id="mine")

    answer = await call(ask)

    assert answer.get_response()["id"] == "mine"
    assert answer.as_numpy("predictions").tolist() == [6, 15]
    assert answer.as_numpy("predict_proba").shape == (2, 2)


async def test_infer_without_naming_outputs(call: Run, lineup: Lineup) -> None:
    put(lineup)

    answer = await call(lambda client: client.infer("iris", [tensor("rows", ROWS, "FP64")]))

    assert answer.as_numpy("label").tolist() == [6, 15]


@pytest.mark.parametrize("binary", [True, False])
async def test_texts(call: Run, lineup: Lineup, binary: bool) -> None:
    signature = Signature((Column("s", "string"),), (Column("t", "string"),))
    put(lineup, TensorModel(signature, lambda rows: Answer((rows.blocks[0][:, 0],))))
    texts = np.array(["ü", "b"], object)

    answer = await call(lambda client: client.infer("iris", [tensor("s", texts, "BYTES", binary=binary)]))

    assert [each.decode() for each in answer.as_numpy("t")] == ["ü", "b"]


async def test_a_refusal_is_an_exception_with_the_reason(call: Run, lineup: Lineup) -> None:
    put(lineup)

    with pytest.raises(Exception, match="column 'a' is missing"):
        await call(lambda client: client.infer("iris", [tensor("x", ROWS[:, 0], "FP64")]))
