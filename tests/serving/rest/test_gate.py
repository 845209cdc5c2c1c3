import logging
from collections.abc import Mapping

import httpx
import pytest

from serving.access.guard import Guard
from serving.access.rates import Rates
from serving.access.scopes import Caller
from serving.app import More, build
from serving.engine import Engine
from serving.lineup import Lineup
from tests.serving.tensor_models import put


class BrokenGuard(Guard):
    """Of which something is wrong that nobody thought of."""

    def __init__(self) -> None:
        super().__init__(None, None, Rates(None, 1))

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        raise RuntimeError("half a secret")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2"), ("GET", "/metrics"), ("POST", "/invocations")])
async def test_what_nobody_expected_of_the_guard_lets_nobody_in_and_is_told_as_all_else(
    lineup: Lineup, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    put(lineup)
    app = build(Engine(lineup), more=More(guard=BrokenGuard()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://slipway") as http:
        with caplog.at_level(logging.ERROR):
            answer = await http.request(method, path, headers={"x-request-id": "mine"})

    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine")
    assert answer.json()["type"] == "urn:slipway:problem:internal-error"
    (crashed,) = [each for each in caplog.records if each.getMessage() == "request crashed"]
    assert "half a secret" not in answer.text + str(crashed.__dict__)


async def test_a_path_with_a_control_character_is_none_where_nobody_is_asked_either(client: httpx.AsyncClient) -> None:
    for path in ("/metrics%0A", "/v2/models/iris%0A", "/v2/health/live%0a", "/%00"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
