"""tritonclient, unmodified, over gRPC: https://github.com/triton-inference-server/client"""

import asyncio
import queue
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc as triton

from serving.lineup import Lineup
from serving.protocol import Answer, Column, Signature
from tests.serving.rpc.conftest import ROWS
from tests.serving.tensor_models import TensorModel, put

Client = Any  # of tritonclient, which has no annotations
Run = Callable[[Callable[[Client], Any]], Awaitable[Any]]


@pytest.fixture
def call(address: str) -> Run:
    """Run something with a client, in a thread."""

    def with_client(what: Callable[[Client], Any]) -> Any:
        with triton.InferenceServerClient(address) as made:
            return what(made)

    return lambda what: asyncio.to_thread(with_client, what)


def tensor(name: str, values: Any, datatype: str) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


async def test_health_and_metadata(call: Run, lineup: Lineup) -> None:
    put(lineup)

    def look(client: Client) -> list[Any]:
        return [
            client.is_server_live(),
            client.is_server_ready(),  # not while `wine` waits
            client.is_model_ready("iris"),
            client.is_model_ready("wine"),
            client.get_server_metadata().name,
            [each.name for each in client.get_model_metadata("iris").inputs],
        ]

    assert await call(look) == [True, False, True, False, "slipway", ["a", "b", "c"]]


async def test_infer(call: Run, lineup: Lineup) -> None:
    put(lineup)
    outputs = [triton.InferRequestedOutput(name) for name in ("predictions", "predict_proba")]

    answer = await call(
        lambda client: client.infer("iris", [tensor("rows", ROWS, "FP64")], outputs=outputs, request_id="mine")
    )

    assert answer.get_response().id == "mine"
    assert answer.as_numpy("predictions").tolist() == [6, 15]
    assert answer.as_numpy("predict_proba").shape == (2, 2)


async def test_texts(call: Run, lineup: Lineup) -> None:
    signature = Signature((Column("s", "string"),), (Column("t", "string"),))
    put(lineup, TensorModel(signature, lambda rows: Answer((rows.blocks[0][:, 0],))))

    answer = await call(lambda client: client.infer("iris", [tensor("s", np.array(["ü", "b"], object), "BYTES")]))

    assert [each.decode() for each in answer.as_numpy("t")] == ["ü", "b"]


async def test_a_refusal_is_an_exception_with_the_reason(call: Run, lineup: Lineup) -> None:
    put(lineup)

    with pytest.raises(Exception, match=r"INVALID_ARGUMENT.*column 'a' is missing"):
        await call(lambda client: client.infer("iris", [tensor("x", ROWS[:, 0], "FP64")]))


async def test_a_stream_of_requests(call: Run, lineup: Lineup) -> None:
    put(lineup)

    def ask(client: Client) -> list[Any]:
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        for name in ("rows", "b", "rows"):
            values = ROWS if name == "rows" else ROWS[:, 0]
            client.async_stream_infer("iris", [tensor(name, values, "FP64")], request_id=name)
        found = [answers.get(timeout=10) for _ in range(3)]
        client.stop_stream()
        return found

    first, bad, last = await call(ask)

    assert [each.as_numpy("label").tolist() for each, _ in (first, last)] == [[6, 15], [6, 15]]
    assert "column 'a' is missing" in str(bad[1])
    assert first[0].get_response().parameters["triton_final_response"].bool_param
