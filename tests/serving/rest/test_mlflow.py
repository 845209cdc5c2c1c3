from collections.abc import Callable

import httpx
import pytest
from mlflow.version import VERSION

from serving.errors import InvalidInput, UnsupportedMedia
from serving.invocations import media_type_of
from serving.lineup import Served
from tests.fakes import FakeModel


async def test_an_answer_names_its_model_and_version(client: httpx.AsyncClient, serve: Callable[..., Served]) -> None:
    serve(7)

    answer = await client.post("/invocations", json={"inputs": [1]})

    assert (answer.status_code, answer.json()) == (200, {"predictions": ["one"]})
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("iris", "7")


async def test_a_refusal_names_them_too(client: httpx.AsyncClient, serve: Callable[..., Served]) -> None:
    def refuse() -> bytes:
        raise InvalidInput("column 'x' is missing")

    serve(7, FakeModel(instead=refuse))

    answer = await client.post("/invocations", json={})

    assert (answer.status_code, answer.json()["error"]) == (400, "column 'x' is missing")
    assert answer.headers["x-model-version"] == "7"


async def test_nothing_in_production_is_a_503_that_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/invocations", json={})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "the registry has not been read yet" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/ping", "/health"])
async def test_health_is_mlflows(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "\n", "application/json")


async def test_version_is_mlflows(client: httpx.AsyncClient) -> None:
    answer = await client.get("/version")

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, VERSION, "application/json")


@pytest.mark.parametrize(
    "given", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_media_types_that_mlflow_takes(given: str) -> None:
    assert media_type_of(given) == "application/json"


@pytest.mark.parametrize("given", ["", "text/plain", "application/json; charset=latin-1", "text/csv; header=present"])
def test_media_types_that_it_does_not(given: str) -> None:
    with pytest.raises(UnsupportedMedia, match="application/json, text/csv"):
        media_type_of(given)
