"""`python -m serving.check` asks where serving listens; what it does with TLS is in tls/test_process.py."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.servers import ROOT


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Quiet."""


class OverIpv6(HTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def listening(host: str) -> Iterator[int]:
    """The port where somebody healthy is."""
    kind = OverIpv6 if ":" in host else HTTPServer
    with kind((host, 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("named", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), *((every, "127.0.0.1") for every in ("0.0.0.0", "::", ""))],  # noqa: S104 - all of a machine's
)
def test_serving_is_asked_at_the_address_it_listens_on(named: str, asked: str) -> None:
    with listening(asked) as port:
        env = {**os.environ, "SERVING_TLS__CERTIFICATE": "", "SERVING_HOST": named, "SERVING_PORT": str(port)}
        command = [sys.executable, "-m", "serving.check"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"/health: 200\n")


def test_where_that_is_may_be_said_in_the_file_that_serving_reads(tmp_path: Path) -> None:
    with listening("127.0.0.1") as port:
        (tmp_path / ".env").write_text(f"SERVING_PORT={port}\n")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SERVING_")}
        env = {**inherited, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "serving.check"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"/health: 200\n")
