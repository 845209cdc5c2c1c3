"""Questions as HTTP has them: MLflow's JSON, and lines of JSON. Pure: sends nothing.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#local-inference-server-spec
"""

import json
from base64 import b64encode
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from serving.client import http_answers
from serving.client.dialect import Question
from serving.client.errors import InvalidInput
from serving.client.given import Nested, Records, Rows, Table, Tensors
from serving.client.interface import Interface

TIMEOUT = "x-request-timeout-ms"
"""The header by which serving knows how long the caller will wait."""
REQUEST_ID = "x-request-id"
JSON = "application/json"
NDJSON = "application/x-ndjson"


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    elsewhere: bool = False
    """`path` is a whole address, of a server that none of the client's own headers are for."""


class OverHttp:
    """The questions to one model; to the server's first one while no name is given."""

    def __init__(self, model: str | None) -> None:
        self._named = model

    def needs_interface(self, rows: Rows) -> bool:
        return isinstance(rows, Nested)

    def learns(self) -> Generator[Question, Any, Interface]:
        named = self._named or (yield names_a_model())
        metadata = Request("GET", f"/v2/models/{quote(named, safe='')}", {})
        found: Interface = yield Question(metadata, http_answers.interface)
        return found

    def asks(self, rows: Rows, interface: Interface | None, params: Mapping[str, Any], request_id: str) -> Question:
        """InvalidInput for what JSON cannot hold."""
        return Question(self._post(JSON, body(rows, interface, params), request_id), http_answers.reply)

    def asks_lines(self, lines: list[bytes], request_id: str) -> Question:
        """Busy when a row met that: all of them are worth asking for again."""
        request = self._post(NDJSON, b"".join(lines), request_id)
        return Question(request, partial(http_answers.outcomes, count=len(lines)))

    def _post(self, content_type: str, body: bytes, request_id: str) -> Request:
        path = f"/v1/models/{quote(self._named, safe='')}/invocations" if self._named else "/invocations"
        return Request("POST", path, {"content-type": content_type, REQUEST_ID: request_id}, body)


def names_a_model() -> Question:
    """The server's first one."""
    return Question(Request("GET", "/v2", {}), http_answers.first_model)


def line(row: Any) -> bytes:
    """One row of a stream. InvalidInput for what JSON cannot hold."""
    return encoded(row) + b"\n"


def body(rows: Rows, interface: Interface | None, params: Mapping[str, Any]) -> bytes:
    """MLflow's JSON. InvalidInput for what JSON cannot hold."""
    return encoded(_content(rows, interface) | ({"params": dict(params)} if params else {}))


def encoded(value: Any) -> bytes:
    """JSON. InvalidInput for what it cannot hold."""
    try:
        return json.dumps(value, default=_in_json, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput("a value is there that JSON cannot hold") from None


def _content(rows: Rows, interface: Interface | None) -> dict[str, Any]:
    if isinstance(rows, Records):
        return {"dataframe_records": rows.rows}
    if isinstance(rows, Table):
        return _split(list(rows.columns), [list(row) for row in zip(*rows.columns.values(), strict=True)])
    if isinstance(rows, Tensors):
        return {"inputs": rows.arrays}
    if interface is None or not interface.inputs:
        return {"inputs": rows.rows}
    names = [each.name for each in interface.inputs]
    if not interface.columns:
        return {"inputs": rows.rows if len(names) > 1 or names[0] == "input-0" else {names[0]: rows.rows}}
    return _ordered(names, rows.rows)


def _ordered(names: list[str], rows: list[Any]) -> dict[str, Any]:
    """Rows of values in the order of the model's columns."""
    if len(names) == 1:
        rows = [each if isinstance(each, list) else [each] for each in rows]
    if any(not isinstance(each, list) or len(each) != len(names) for each in rows):
        raise InvalidInput(f"a row of this model has {len(names)} values")
    return _split(names, rows)


def _split(names: list[str], rows: list[Any]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": names, "data": rows}}


def _in_json(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError
