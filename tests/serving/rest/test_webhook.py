from collections.abc import AsyncIterator

import httpx
import pytest

from serving.app import More, build
from serving.engine import Engine
from serving.following.webhooks import LARGEST_BYTES, Message
from serving.lineup import Lineup
from serving.rest import webhook
from tests.serving.following.test_webhooks import NOW, SECRET, signed

PATH = "/v1/webhooks/mlflow"


@pytest.fixture
def hurried() -> list[str]:
    return []


@pytest.fixture
async def caller(lineup: Lineup, hurried: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """Of an app that has the route."""
    app = build(Engine(lineup), more=More((webhook.router(SECRET, hurried.append, lambda: NOW),)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://slipway") as http:
        yield http


async def post(http: httpx.AsyncClient, message: Message) -> httpx.Response:
    headers = {
        "X-MLflow-Delivery-Id": message.delivery,
        "X-MLflow-Timestamp": message.timestamp,
        "X-MLflow-Signature": message.signature,
    }
    return await http.post(PATH, content=message.body, headers=headers)


async def test_a_message_of_mlflows_hurries_its_model(caller: httpx.AsyncClient, hurried: list[str]) -> None:
    answer = await post(caller, signed())

    assert (answer.status_code, answer.content) == (202, b"")
    assert "x-request-id" in answer.headers
    assert hurried == ["iris"]


async def test_the_same_message_again_is_only_taken_again(caller: httpx.AsyncClient, hurried: list[str]) -> None:
    """What bounds it is the syncer, which polls so many times a second at most."""
    answers = [await post(caller, signed()) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert set(hurried) == {"iris"}


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (signed(secret="x" + SECRET), 401, "not-authentic"),
        (signed(sent=str(NOW - 301)), 401, "not-authentic"),
        (signed(sent="yesterday"), 400, "invalid-input"),
        (signed(b"{}"), 400, "invalid-input"),
        (signed(bytes(LARGEST_BYTES + 1)), 413, "too-large"),
    ],
    ids=["another secret", "old", "no time", "no model", "large"],
)
async def test_anything_else_is_refused_with_a_reason_and_hurries_nobody(
    caller: httpx.AsyncClient, hurried: list[str], message: Message, status: int, code: str
) -> None:
    answer = await post(caller, message)

    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:slipway:problem:{code}"
    assert hurried == []


async def test_a_message_without_headers_is_refused(caller: httpx.AsyncClient, hurried: list[str]) -> None:
    assert (await caller.post(PATH, content=signed().body)).status_code == 400
    assert hurried == []


async def test_a_body_without_end_is_not_read_to_it(caller: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(1 << 10)

    answer = await caller.post(PATH, content=endless())

    assert answer.status_code == 413
    assert sent <= (LARGEST_BYTES >> 10) + 2


async def test_without_a_secret_there_is_no_such_address(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH)).status_code == 404
