import httpx
import pytest


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
