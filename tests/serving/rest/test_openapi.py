import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from serving.lineup import Lineup, Served
from serving.protocol import Column, Param, Signature, Tensor
from serving.rest.openapi import OpenApi, describe
from tests.fakes import FakeModel, a_version

ROUTES: dict[str, Any] = {
    "info": {"title": "Slipway"},
    "paths": {"/invocations": {"post": {"responses": {"200": {}, "422": {}}}}},
}


async def test_the_schema_is_the_signatures_of_the_version_that_answers(
    client: httpx.AsyncClient, serve: Callable[..., Served]
) -> None:
    before = (await client.get("/openapi.json")).json()
    serve(7)
    after = (await client.get("/openapi.json")).json()

    assert "No version is Production yet" in before["info"]["description"]
    assert after["info"]["description"] == "Answers with version 7 of model iris."
    records = after["components"]["schemas"]["dataframe_records"]["properties"]["dataframe_records"]
    assert records["items"] == {
        "type": "object",
        "properties": {"x": {"type": "number", "format": "double"}},
        "required": ["x"],
    }
    content = after["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert content["application/json"]["examples"]["dataframe_split"]["value"] == json.loads(FakeModel().example or "")
    assert content["application/json"]["examples"]["dataframe_records"]["value"] == {"dataframe_records": [{"x": 1.5}]}
    assert content["text/csv"]["example"] == "x\n1.5\n"


def test_a_job_takes_what_invocations_takes() -> None:
    jobs: dict[str, Any] = {"/v1/models/{name}/jobs": {"post": {"responses": {"202": {}}}}}
    routes = {**ROUTES, "paths": {**ROUTES["paths"], **jobs}}

    for served in (None, Served(a_version(7), FakeModel())):
        paths = describe(routes, served)["paths"]
        bodies = [paths[path]["post"]["requestBody"] for path in ("/invocations", "/v1/models/{name}/jobs")]
        assert bodies[0] == bodies[1]


def test_it_is_made_once_a_version(serve: Callable[..., Served], lineup: Lineup) -> None:
    made = OpenApi(lambda: ROUTES, lineup)
    serve(1)
    first, again = made(), made()
    serve(2)

    assert first is again
    assert made()["info"]["description"] == "Answers with version 2 of model iris."


@pytest.mark.parametrize(
    ("fields", "inputs"),
    [
        (
            (Tensor(None, "float32", (-1, 28, 28)),),
            {
                "type": "array",
                "items": {
                    "type": "array",
                    "minItems": 28,
                    "maxItems": 28,
                    "items": {"type": "array", "minItems": 28, "maxItems": 28, "items": {"type": "number"}},
                },
            },
        ),
        (
            (Column("a", "string", required=False),),
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}, "required": []},
        ),
        ((), {"type": "array", "items": {}}),
    ],
)
def test_inputs_are_described_column_by_column(fields: tuple[Column | Tensor, ...], inputs: dict[str, Any]) -> None:
    model = FakeModel(signature=Signature(fields, (), (Param("k", "long", 1),)), example=None)

    schemas = describe(ROUTES, Served(a_version(1), model))["components"]["schemas"]

    assert schemas["inputs"]["properties"]["inputs"] == inputs
    assert schemas["inputs"]["properties"]["params"]["properties"]["k"]["default"] == 1


async def test_the_docs_page_needs_no_other_host(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    assert "https://" not in page
    for path in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert (await client.get(f"/static-offline-docs/{path}")).status_code == 200
        assert f"/static-offline-docs/{path}" in page
