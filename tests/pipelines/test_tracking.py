"""What a person is told of an MLflow server that is not there, or is and says nothing."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from pipelines import errors, tracking
from tests.servers import free_port


def told(uri: str, capsys: pytest.CaptureFixture[str], *, seconds: float = 5) -> str:
    """The line that a command ends with."""

    def main() -> None:
        tracking.expect_answer(uri, seconds=seconds)

    with pytest.raises(SystemExit):
        errors.run(main)
    (line,) = capsys.readouterr().err.splitlines()
    return line.partition(": ")[2]


def test_a_server_that_is_not_there_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    place = f"127.0.0.1:{free_port()}"

    assert told(f"http://{place}", capsys) == (
        f"MLflow at http://{place} cannot be reached: connection refused; is the stack up? `make status`"
    )
    assert "sesame" not in told(f"http://me:sesame@{place}/below", capsys)


def test_a_server_that_says_nothing_is_given_up_on_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        line = told(f"http://127.0.0.1:{silent.getsockname()[1]}", capsys, seconds=0.3)

    assert "cannot be reached: it said nothing in time; is the stack up?" in line
    assert time.monotonic() - began < 5


def test_a_server_that_answers_whatever_it_says_is_not_in_the_way(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # 501 to everything
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            tracking.expect_answer(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()

    tracking.expect_answer(f"sqlite:///{tmp_path}/mlflow.db")  # which is no server


def test_what_else_mlflow_says_is_cut_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise MlflowException("word " * 100)

    with pytest.raises(SystemExit):
        errors.run(main)

    assert capsys.readouterr().err.endswith(" word … (is the stack up? `make status`)\n")
