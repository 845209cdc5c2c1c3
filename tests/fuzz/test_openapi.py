"""Every operation of our OpenAPI document, asked as it says and otherwise; schemathesis thinks of what to ask."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from serving.rest.front import Front
from serving.rest.watched import Watched
from tests.fuzz import asking
from tests.fuzz.house import an_app

# Of starlette's own client, which schemathesis asks an app by.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient` is deprecated")

ANYHOW = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
SHORT = settings(ANYHOW, max_examples=4, derandomize=True)
KNOWN = {"name": "iris", "version": "7"}


@dataclass(frozen=True)
class Asked:
    operations: list[Any]
    job: str


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with an_app(tmp_path_factory.mktemp("house")) as (app, _):
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        yield Asked(operations(schema), a_job(app))


def operations(schema: Any) -> list[Any]:
    return [each.ok() for each in schema.get_all_operations()]


def a_job(app: Front | Watched) -> str:
    async def accepted() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://slipway") as client:
            answer = await client.post("/v1/models/iris/jobs", json={"inputs": {"x": [1.0], "size": [2.0]}})
            return str(answer.json()["id"])

    return asyncio.run(accepted())


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_answers_or_refuses_with_a_reason(asked: Asked, mode: GenerationMode) -> None:
    for operation in asked.operations:
        check(operation, mode, KNOWN | {"job": asked.job}, SHORT)


def check(operation: Any, mode: GenerationMode, known: dict[str, str], how: settings) -> None:
    """`known`: what there is, which most requests are about."""

    @how
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.integers(0, 3))
    def one(case: Any, is_known: int) -> None:
        if is_known:
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        answer = case.call()
        headers = [(name, value) for name, values in answer.headers.items() for value in values]
        found = httpx.Response(answer.status_code, headers=headers, content=answer.content)
        assert asking.wrong_with(found) is None, operation.label

    with suppress(Unsatisfiable):  # what takes nothing can be given nothing wrong
        one()
