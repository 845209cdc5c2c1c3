"""What the demo's report says of a serving that is down, refuses, or answers: one clear line, or the table."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pandas as pd
import pytest

from infra.local import report
from infra.local.caller import Caller
from infra.local.errors import StackError
from infra.local.report import Outcome
from tests.servers import free_port

OUTCOME = Outcome(
    model="iris",
    version="7",
    best="forest",
    why="best on the validation rows",
    validation={"forest": {"f1": 0.9}},
    test={"forest": {"f1": 0.8}},
    target="kind",
    rows=pd.DataFrame({"length": [1.5, 2.5], "width": [1, 2], "kind": ["red", "blue"]}),
)


@contextmanager
def serving(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Answers everything so."""

    class Always(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_words: object) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Always) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def the_line(url: str) -> str:
    """What a person is shown instead of the predictions."""
    with pytest.raises(StackError) as failed:
        report.predictions(OUTCOME, Caller(url))
    (line,) = str(failed.value).splitlines()
    return line


def test_a_serving_that_is_down_is_named_with_its_address_and_where_to_look() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    line = the_line(url)

    assert line.startswith(f"serving does not answer the test rows at {url}/invocations: ")
    assert "Connection refused" in line
    assert line.endswith("; see `make logs`")


def test_a_serving_that_hangs_up_is_told_the_same_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            caller, _ = listening.accept()
            caller.recv(1)
            caller.close()

        dying = threading.Thread(target=hang_up)
        dying.start()
        line = the_line(f"http://127.0.0.1:{listening.getsockname()[1]}")
        dying.join(20)

    assert line.startswith("serving does not answer the test rows at http://127.0.0.1:")


@pytest.mark.parametrize(
    ("status", "problem", "said"),
    [
        (503, {"detail": "model 'iris' does not answer yet"}, "model 'iris' does not answer yet"),
        (400, {"detail": "column 'width' is missing"}, "column 'width' is missing"),
        (500, {}, "500"),
    ],
)
def test_a_refusal_is_told_with_servings_own_reason(status: int, problem: dict[str, Any], said: str) -> None:
    with serving(status, json.dumps(problem).encode()) as url:
        assert the_line(url) == f"serving refused the test rows: {said}"


def test_an_answer_is_shown_beside_the_true_labels_under_its_version() -> None:
    with serving(200, b'{"predictions": ["green", "blue"]}', {"x-model-version": "7"}) as url:
        table = report.predictions(OUTCOME, Caller(url))

    assert table.title == f"POST {url}/invocations, answered by version 7"
    assert [list(column.cells) for column in table.columns[-2:]] == [["green", "blue"], ["red", "blue"]]


@pytest.mark.parametrize(("status", "body"), [(502, b"<html>Bad Gateway</html>"), (503, b"[]"), (200, b"{}")])
def test_an_answer_that_is_not_servings_is_told_by_its_status(status: int, body: bytes) -> None:
    with serving(status, body) as url:
        assert the_line(url) == f"serving refused the test rows: {status}"
