"""OpenAPI from the signature of the version that answers /invocations. Built once a version, not once a request."""

import csv
import io
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from serving.access.needs import HEALTH
from serving.lineup import Lineup, Served
from serving.protocol import CSV, JSON, Column, Param, Signature, Tensor
from serving.rest.problems import MEDIA_TYPE

Schema = dict[str, Any]

JOBS_PATH = "/v1/models/{name}/jobs"
LONGEST_EXAMPLE = 20_000
"""Characters; an example of many pictures would make the page unusable."""

_TYPES: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "array": {"type": "array", "items": {}},
    "object": {"type": "object"},
    "map": {"type": "object"},
}


class OpenApi:
    """`app.openapi` in place of FastAPI's own: `routes()` is what FastAPI makes of the routes alone."""

    def __init__(self, routes: Callable[[], Schema], lineup: Lineup, *, asks: bool = False) -> None:
        """`asks`: must a caller say who it is?"""
        self._routes = routes
        self._lineup = lineup
        self._asks = asks
        self._made: tuple[Served | None, Schema] | None = None

    def __call__(self) -> Schema:
        served = self._lineup.standing().served
        if self._made is None or self._made[0] is not served:
            document = describe(self._routes(), served)
            self._made = served, _with_keys(document) if self._asks else document
        return self._made[1]


def describe(routes: Schema, served: Served | None) -> Schema:
    document = _without_422(deepcopy(routes))
    operation: Schema = dict(PREDICTION)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    operation["responses"] = _responses(served.model.signature if served else Signature())
    document["paths"] |= {"/invocations": {"post": operation}, NAMED_PATH: {"post": _named(operation)}}
    document["paths"] |= {path: {"post": _infer(path)} for path in INFER_PATHS}
    if served is None:
        document["info"]["description"] = (
            "No version is Production yet; what it takes and answers is shown once one is."
        )
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": {"type": "object"}}}}
        return _with_jobs(document, operation["requestBody"])
    version, signature = served.version, served.model.signature
    document["info"]["description"] = f"Answers with version {version.number} of model {version.name}."
    bodies = _bodies(signature)
    schemas.update(bodies)
    any_of = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in bodies]}
    examples = _examples(served.model.example)
    content: Schema = {JSON: {"schema": any_of, "examples": {name: {"value": each} for name, each in examples.items()}}}
    content[CSV] = {"schema": {"type": "string", "description": "The first line names the columns."}}
    if table := examples.get("dataframe_split"):
        content[CSV]["example"] = _csv(table["dataframe_split"])
    operation["requestBody"] = {"required": True, "content": content}
    return _with_jobs(document, operation["requestBody"])


def _with_keys(document: Schema) -> Schema:
    """How a caller says who it is, where it must; what needs no key is said by the refusal of what does."""
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or a token of this server's issuer.",
        },
        "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }
    document["security"] = [{"bearer": []}, {"key": []}]
    for path in HEALTH & document["paths"].keys():
        document["paths"][path]["get"]["security"] = []
    return document


def _named(operation: Schema) -> Schema:
    """The same of a model that is named; what it takes is that model's own affair."""
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        **operation,
        "operationId": "invocations_name",
        "summary": "Predict with a model by its name",
        "parameters": [name],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}}}},
        "responses": {"200": {"description": "Predictions"}, **_problems()},
    }


def _with_jobs(document: Schema, body: Schema) -> Schema:
    """A job takes what `/invocations` takes, where there are jobs."""
    if JOBS_PATH in document["paths"]:
        document["paths"][JOBS_PATH]["post"]["requestBody"] = body
    return document


def _infer(path: str) -> Schema:
    names = [name for name in ("name", "version") if f"{{{name}}}" in path]
    return {
        "tags": ["Open Inference Protocol"],
        "summary": "Predict from tensors",
        "description": "JSON, or JSON with binary tensors behind it. The model's metadata names its tensors.",
        "operationId": f"infer_{names[-1]}",
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "requestBody": {"required": True, "content": {JSON: {"schema": INFER_REQUEST}}},
        "responses": {"200": {"description": "The outputs"}, **_problems()},
    }


def _without_422(document: Schema) -> Schema:
    """FastAPI's own validation errors, which no route of ours can answer."""
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document.get("components", {}).get("schemas", {}).pop(name, None)
    return document


def _bodies(signature: Signature) -> dict[str, Schema]:
    row = _row(signature.inputs)
    columns = [each.name for each in signature.inputs if each.name is not None]
    split: Schema = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "columns": {"type": "array", "items": {"enum": columns} if columns else {}},
            "index": {"type": "array", "items": {}},
            "data": {"type": "array", "items": {"type": "array", "items": {}}},
        },
    }
    contents = {
        "dataframe_split": split,
        "dataframe_records": {"type": "array", "items": row},
        "instances": {"type": "array", "items": row if columns else {}},
        "inputs": _inputs(signature.inputs),
    }
    return {name: _body(name, schema, signature.params) for name, schema in contents.items()}


def _body(name: str, content: Schema, params: tuple[Param, ...]) -> Schema:
    properties = {name: content}
    if params:
        properties["params"] = {"type": "object", "properties": {each.name: _param(each) for each in params}}
    return {"title": name, "type": "object", "required": [name], "properties": properties}


def _param(each: Param) -> Schema:
    one = dict(_TYPES.get(each.type, {}))
    schema: Schema = {"type": "array", "items": one} if each.is_list else one
    return {**schema, "default": json.loads(json.dumps(each.default, default=str))}


def _row(inputs: tuple[Column | Tensor, ...]) -> Schema:
    named = {each.name: _value(each) for each in inputs if each.name is not None}
    needed = [each.name for each in inputs if each.name is not None and (isinstance(each, Tensor) or each.required)]
    return {"type": "object", "properties": named, "required": needed}


def _inputs(inputs: tuple[Column | Tensor, ...]) -> Schema:
    """Column by column; a model with one nameless tensor takes the tensor itself."""
    if any(each.name is None for each in inputs) or not inputs:
        return {"type": "array", "items": _value(inputs[0]) if len(inputs) == 1 else {}}
    columns = {str(each.name): {"type": "array", "items": _value(each)} for each in inputs}
    return {"type": "object", "properties": columns, "required": _row(inputs)["required"]}


def _value(each: Column | Tensor) -> Schema:
    """Of one row."""
    if isinstance(each, Column):
        return dict(_TYPES.get(each.type, {}))
    schema: Schema = {"type": "string"} if each.dtype.startswith(("str", "object")) else {"type": "number"}
    for length in reversed(each.shape[1:]):
        fixed = {} if length == -1 else {"minItems": length, "maxItems": length}
        schema = {"type": "array", "items": schema, **fixed}
    return schema


def _responses(signature: Signature) -> Schema:
    outputs = signature.outputs
    row = _row(outputs) if outputs and outputs[0].name else _value(outputs[0]) if outputs else {}
    predictions = {"type": "object", "properties": {"predictions": {"type": "array", "items": row}}}
    return {"200": {"description": "Predictions", "content": {JSON: {"schema": predictions}}}, **_problems()}


def _problems() -> Schema:
    refused = {"400": "The body does not fit the model", "415": "Unknown Content-Type", "503": "No version answers yet"}
    return {
        status: {"description": reason, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        for status, reason in refused.items()
    }


PREDICTION: Schema = {
    "tags": ["MLflow scoring"],
    "summary": "Predict",
    "description": "Answers with the version that is Production, named in x-model-version. Errors count rows from 1.",
    "operationId": "invocations",
}
"""Its route is in `front.py`, which FastAPI does not see; so are those of `infer`."""

NAMED_PATH = "/v1/models/{name}/invocations"
INFER_PATHS = ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")
INFER_REQUEST: Schema = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer"}},
                    "datatype": {"type": "string"},
                    "data": {"type": "array", "items": {}},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        },
    },
}

PROBLEM: Schema = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "error", "request_id")},
        "status": {"type": "integer"},
    },
}


def _examples(text: str | None) -> dict[str, Schema]:
    """The version's own input example, and its first row in the other tabular shape."""
    if text is None or len(text) > LONGEST_EXAMPLE:
        return {}
    example: Schema = json.loads(text)
    name = next(iter(example))
    examples = {name: example}
    if name == "dataframe_split" and example[name]["data"]:
        row = dict(zip(example[name]["columns"], example[name]["data"][0], strict=False))
        examples["dataframe_records"] = {"dataframe_records": [row]}
    return examples


def _csv(table: Schema) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.get("columns", []))
    writer.writerows(table["data"])
    return text.getvalue()
