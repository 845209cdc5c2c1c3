import logging
from collections.abc import Callable

import httpx
import pytest

from serving import errors
from serving.errors import PredictionFailed, ServingError
from serving.lineup import Served
from serving.rest.problems import STATUS, status_of
from tests.fakes import FakeModel

KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ServingError)]


def is_problem(answer: httpx.Response, status: int) -> dict[str, object]:
    """The one assertion on what an error looks like."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "error", "request_id"}
    assert (body["status"], body["detail"]) == (status, body["error"])
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_of_its_nearest_ancestor(kind: type[ServingError]) -> None:
    ancestors = [each for each in kind.__mro__ if each in STATUS]

    assert status_of(kind) == STATUS[ancestors[0]]
    assert status_of(kind) == 500 or not issubclass(kind, PredictionFailed)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/secret-payload", 404),
        ("GET", "/invocations", 405),
        ("POST", "/invocations", 503),
        ("GET", "/v2/models/x", 404),
    ],
)
async def test_every_refusal_is_a_problem(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)

    assert "secret-payload" not in str(is_problem(answer, status))


async def test_what_nobody_expected_is_a_500_whose_cause_is_only_in_the_log(
    client: httpx.AsyncClient, serve: Callable[..., Served], caplog: pytest.LogCaptureFixture
) -> None:
    def crash() -> bytes:
        raise ZeroDivisionError("secret-payload")

    serve(1, FakeModel(instead=crash))

    answer = await client.post("/invocations", json={}, headers={"x-request-id": "mine-1"})

    body = is_problem(answer, 500)
    assert body["request_id"] == "mine-1"
    assert "ZeroDivisionError" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "ZeroDivisionError" in record.__dict__["cause"]
    assert record.__dict__["request_id"] == "mine-1"
    assert "secret-payload" not in answer.text + str(record.__dict__)


async def test_a_failed_prediction_is_a_500_whose_cause_is_only_in_the_log(
    client: httpx.AsyncClient, serve: Callable[..., Served], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bytes:
        raise PredictionFailed from RuntimeError("secret-payload")

    serve(1, FakeModel(instead=fail))

    answer = await client.post("/invocations", json={})

    is_problem(answer, 500)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "RuntimeError" in record.__dict__["cause"]
    assert "secret-payload" not in answer.text + str(record.__dict__)
