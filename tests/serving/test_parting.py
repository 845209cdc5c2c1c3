"""How a server ends: those who are told to look elsewhere lose nothing, and neither does who is being answered."""

import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from serving.store.posted import Board, Posting
from tests.fakes import a_version
from tests.haproxy import Behind, haproxy
from tests.load.record import Question
from tests.load.rest import RestLoad
from tests.load.rpc import RpcLoad
from tests.servers import Server, eventually, free_port, server
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.store.test_offline import BODY, environment
from tests.serving.twins import post

ROWS = ((2.0, 1.0), (5.0, 1.0))
QUESTION = Question(("x", "size"), ROWS, {7: [6.0, 15.0]})
LINGER_SECONDS = 3
"""Of the proxy's checks, which are every 0.2 s, several."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    post(tmp_path / "store", 7, factor=3)
    return tmp_path / "store"


@contextmanager
def serving(store: Path, ports: Behind, **env: str) -> Iterator[Server]:
    """`env`: more environment names."""
    ours = {"SERVING_PORT": str(ports.rest), "SERVING_GRPC_PORT": str(ports.grpc), **env}
    command = [sys.executable, "-m", "serving"]
    with server(
        ports.name,
        command,
        port=ports.rest,
        env=environment(store, **ours),
        folder=store.parent,
        ready="/v2/health/ready",
    ) as running:
        yield running


def ports(name: str = "serving") -> Behind:
    return Behind(name, free_port(), free_port())


def test_it_says_that_it_is_not_ready_and_answers_on_for_a_while(store: Path) -> None:
    where = ports()
    with (
        serving(store, where, SERVING_LINGER_SECONDS="4") as running,
        grpc.insecure_channel(f"127.0.0.1:{where.grpc}") as channel,
        httpx.Client(base_url=running.url) as http,
    ):
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        assert "connection" not in http.post("/invocations", json=BODY).headers
        assert check(HealthCheckRequest()).status == HealthCheckResponse.SERVING

        running.process.send_signal(signal.SIGTERM)

        told = eventually(lambda: (answer := http.get("/v2/health/ready")).status_code == 503 and answer)
        assert isinstance(told, httpx.Response)
        assert "about to stop" in told.json()["detail"]
        assert http.get("/v2/health/live").status_code == 200
        for _ in range(2):
            answered = http.post("/invocations", json=BODY)
            assert (answered.json(), answered.headers["connection"]) == ({"predictions": [6.0]}, "close")
        for service in ("", "iris"):
            assert check(HealthCheckRequest(service=service)).status == HealthCheckResponse.NOT_SERVING
        assert running.process.wait(20) == 0


def test_what_is_being_answered_is_answered_whatever_answers(store: Path, tmp_path: Path) -> None:
    """By a version in a host of its own, whose processes end last."""
    a_pyfunc(
        store / "iris" / "8",
        predicting=f"import pathlib, time; pathlib.Path('{tmp_path}/asked').touch(); time.sleep(2)",
    )
    Board(("iris",), store).put(Posting("iris", a_version(8), "iris/8"))
    answers: list[int] = []
    with serving(store, ports(), SERVING_ALLOW_CODE="true", SERVING_TRUST="off") as running:
        eventually((tmp_path / "asked").exists, seconds=60)  # its own example, as it was loaded
        (tmp_path / "asked").unlink()
        caller = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{running.url}/invocations", json=BODY, timeout=20).status_code)
        )
        caller.start()
        eventually((tmp_path / "asked").exists)

        running.process.send_signal(signal.SIGTERM)

        assert running.process.wait(20) == 0
        caller.join()
    assert answers == [200]


def refuses(port: int) -> bool:
    with socket.socket() as late:
        return late.connect_ex(("127.0.0.1", port)) != 0


def test_who_comes_while_the_last_are_answered_is_refused_at_once_whatever_he_speaks(store: Path) -> None:
    where = ports()
    with (
        serving(store, where, SERVING_FINISH_SECONDS="60") as running,
        socket.create_connection(("127.0.0.1", where.rest)) as slow,
    ):
        head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        body = json.dumps(BODY).encode()
        slow.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body[:10])
        assert httpx.get(f"{running.url}/health").status_code == 200  # by then half of the other has been read

        running.process.send_signal(signal.SIGTERM)

        for port in (where.rest, where.grpc):
            eventually(partial(refuses, port), seconds=20)
        assert running.process.poll() is None
        slow.sendall(body[10:])
        assert slow.recv(10_000).startswith(b"HTTP/1.1 200 ")
        assert running.process.wait(20) == 0


def test_a_request_that_takes_too_long_is_told_so_and_where_the_server_has_gone(store: Path, tmp_path: Path) -> None:
    a_pyfunc(
        store / "iris" / "8",
        predicting=f"import pathlib, time; pathlib.Path('{tmp_path}/asked').touch(); time.sleep(len(rows) > 1 and 60)",
    )
    Board(("iris",), store).put(Posting("iris", a_version(8), "iris/8"))
    env = {"SERVING_ALLOW_CODE": "true", "SERVING_TRUST": "off", "SERVING_FINISH_SECONDS": "1"}
    with serving(store, ports(), **env) as running, ThreadPoolExecutor(1) as callers:
        eventually((tmp_path / "asked").exists, seconds=60)  # its own example, as it was loaded
        (tmp_path / "asked").unlink()
        two = {"dataframe_split": {"columns": ["x", "size"], "data": ROWS}}
        asked = callers.submit(httpx.post, f"{running.url}/invocations", json=two, timeout=30)
        eventually((tmp_path / "asked").exists)

        running.process.send_signal(signal.SIGTERM)

        answer = asked.result()
        assert running.process.wait(20) == 0
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"] == "urn:slipway:problem:stopping"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    log = running.log.read_text()
    assert '"code": "stopping"' in log
    assert "Exception in ASGI application" not in log


@pytest.mark.slow
def test_a_rolling_restart_behind_a_proxy_fails_no_request(store: Path, tmp_path: Path) -> None:
    both = [ports("one"), ports("two")]
    lingers = {"SERVING_LINGER_SECONDS": str(LINGER_SECONDS), "SERVING_WORKERS": "2"}
    with ExitStack() as held:
        running = {each: held.enter_context(serving(store, each, **lingers)) for each in both}
        proxy = held.enter_context(haproxy(both, tmp_path))
        eventually(lambda: all(proxy.sends_to(each.name) for each in both))
        rest = RestLoad(proxy.rest, "iris", [QUESTION], connections=16, every_seconds=0.01)
        rpc = RpcLoad(proxy.grpc, "iris", [QUESTION], channels=4, every_seconds=0.01)
        with rest, rpc:
            for _ in range(2):
                for each in both:
                    running[each].process.send_signal(signal.SIGTERM)
                    assert running[each].process.wait(30) == 0
                    running[each] = held.enter_context(serving(store, each, **lingers))
                    eventually(partial(proxy.sends_to, each.name))

    assert [each.reason for each in rest.record.failures] == []
    assert [each.reason for each in rpc.record.failures] == []
    assert min(len(rest.record), len(rpc.record)) > 100
