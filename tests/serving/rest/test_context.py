import httpx
import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from serving.metrics.answers import Counts
from serving.request_log import RequestLog
from serving.rest.context import NameEveryAnswer


@pytest.mark.parametrize("given", ["abc-1", "trace:1.2_3", "a" * 128])
async def test_a_sane_request_id_is_the_callers(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/ping", headers={"x-request-id": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, '"};drop', "ü".encode()])
async def test_any_other_is_replaced(client: httpx.AsyncClient, given: str | bytes) -> None:
    answer = await client.get(
        "/ping", headers=[(b"x-request-id", given if isinstance(given, bytes) else given.encode())]
    )

    assert len(answer.headers["x-request-id"]) == 32


async def test_two_requests_have_two_ids(client: httpx.AsyncClient) -> None:
    first, second = [await client.get("/nope") for _ in range(2)]

    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_who_is_gone_before_its_answer_is_counted_once() -> None:
    counts, sent = Counts(), []

    async def ends(_scope: Scope, _receive: Receive, _send: Send) -> None:
        """As the boundary does when the rest of a body never comes."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/models/iris/jobs", "headers": []}
    await NameEveryAnswer(ends, counts, RequestLog())(scope, receive, send)

    assert not sent
    assert np.frombuffer(next(counts.blocks()).values).sum() == 1
