"""The real `python -m serving` with TLS: its workers, its check, and what it refuses to start with."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.local.authority import Authority
from infra.local.programs import PROGRAMS
from infra.local.settings import Settings
from serving.worker import STRICT
from tests.servers import ROOT, Server, eventually, free_port, server, stack_environment
from tests.serving.tls.papers import Papers

NOBODY = "http://127.0.0.1:9"
"""No registry: whether serving has a version is nothing to TLS."""


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


def environment(papers: Papers, *, mutual: bool) -> dict[str, str]:
    return {
        **stack_environment(papers.folder),
        **papers.env(mutual=mutual),
        "MLFLOW_TRACKING_URI": NOBODY,
        "SERVING_PORT": str(free_port()),
        "SERVING_GRPC_PORT": str(free_port()),
        "SERVING_HOST": "127.0.0.1",
        "SERVING_MODELS": "iris",
        "SERVING_STORE": str(papers.folder / "store"),
    }


@contextmanager
def serving(papers: Papers, env: dict[str, str]) -> Iterator[Server]:
    command, port = [sys.executable, "-m", "serving"], int(env["SERVING_PORT"])
    with server("serving", command, port=port, env=env, folder=papers.folder, ready=None) as running:
        eventually(lambda: check(env).returncode == 0, seconds=60, every=0.5)
        yield running


def check(env: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serving.check", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_workers_show_the_certificate_of_now_on_both_ports(papers: Papers) -> None:
    env = environment(papers, mutual=False)
    with serving(papers, env):
        eventually(lambda: papers.certificate.read_bytes() == shown(env["SERVING_GRPC_PORT"]))
        stack = Settings(ROOT, env, fingerprint="")
        assert PROGRAMS["serving"].url(stack) == f"https://127.0.0.1:{env['SERVING_PORT']}"
        assert PROGRAMS["serving"].answers(stack)  # as `make up` and `make status` ask
        issued = papers.put()

        for name in ("SERVING_PORT", "SERVING_GRPC_PORT"):
            assert {shown(env[name]) for _ in range(20)} == {issued.certificate}, name


def test_who_never_says_hello_is_ended_and_every_answer_says_to_come_with_tls_again(papers: Papers) -> None:
    env = environment(papers, mutual=False) | {"SERVING_LIMITS__HEAD_SECONDS": "1"}
    trusting = ssl.create_default_context(cafile=papers.ca)
    with serving(papers, env) as running, socket.create_connection(("127.0.0.1", running.port), timeout=10) as silent:
        assert silent.recv(1) == b""

        url = f"https://127.0.0.1:{running.port}"
        assert STRICT[1] == httpx.get(f"{url}/health", verify=trusting).headers[STRICT[0]]
        with trusting.wrap_socket(
            socket.create_connection(("127.0.0.1", running.port), timeout=10), server_hostname="127.0.0.1"
        ) as slow:
            told = slow.recv(10_000)

    assert told.startswith(b"HTTP/1.1 408 ")
    assert f"\r\n{STRICT[0]}: {STRICT[1]}\r\n".encode() in told


@pytest.mark.slow  # two starts of serving
@pytest.mark.parametrize("own", [True, False], ids=["its own certificate is let in", "it is not"])
def test_the_check_knows_whether_serving_lives_under_mutual_tls(papers: Papers, own: bool) -> None:
    if not own:
        papers.put(Authority.new("another").sign("slipway", ["localhost"]))
    env = environment(papers, mutual=True)
    with serving(papers, env) as running:
        assert check(env).stdout.startswith("/health: 200")
        assert check(env, "--ready").returncode == (1 if own else 0)  # no model answers; a stranger is not told
        running.stop()
        assert check(env).returncode == 1


def test_a_pair_that_does_not_fit_is_one_line_at_the_start(papers: Papers) -> None:
    papers.key.write_bytes(papers.authority.sign("other").key)
    started = subprocess.run(
        [sys.executable, "-m", "serving"],
        cwd=ROOT,
        env=environment(papers, mutual=False),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert started.returncode == 2
    (line,) = started.stderr.splitlines()
    assert line.startswith(f"serving: SERVING_TLS__KEY: {papers.key} is not the key of {papers.certificate}")


def shown(port: str) -> bytes:
    try:
        return ssl.get_server_certificate(("127.0.0.1", int(port)), timeout=5).encode()
    except OSError:
        return b""
