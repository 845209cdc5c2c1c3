"""Clients that take their time, on raw sockets, against the real process: they are ended, and others do not notice."""

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx
import psutil
import pytest

from serving.rest.context import SAFE
from tests.servers import Server, eventually
from tests.serving.samples import read
from tests.serving.test_supervisor import BODY, WORKER, ask, children, serving

MOST = 300
HEAD = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n"
LIMITS = {"CONNECTIONS": str(MOST), "HEAD_SECONDS": "1", "BODY_SECONDS": "2", "IDLE_SECONDS": "4"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    named = {f"SERVING_LIMITS__{name}": value for name, value in LIMITS.items()}
    with serving(tmp_path_factory.mktemp("limits"), workers=1, **named) as made:
        yield made


def connected(running: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=20)


def held(running: Server) -> int:
    """How many connections its worker has."""
    (worker,) = children(running, WORKER)
    found = worker.net_connections("tcp")
    return sum(each.laddr.port == running.port and each.status == psutil.CONN_ESTABLISHED for each in found)


def rest(of: socket.socket) -> bytes:
    """What comes until its end."""
    found = b""
    while piece := of.recv(65536):
        found += piece
    return found


@pytest.mark.parametrize(
    "sent",
    [HEAD, b"PO", HEAD + b"\r\n", HEAD + b'\r\n{"dataframe', b""],
    ids=["half a head", "two letters", "no body", "half a body", "nothing"],
)
def test_who_sends_half_a_request_is_told_and_ended(running: Server, sent: bytes) -> None:
    with connected(running) as slow:
        slow.sendall(sent)
        assert ask(running) == [6]

        told = rest(slow)

    head, body = told.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    problem, headers = json.loads(body), dict(line.split(": ", 1) for line in head.decode().splitlines()[1:])
    assert problem["detail"] == "the request did not come in time"
    assert (problem["request_id"], len(body)) == (headers["x-request-id"], int(headers["content-length"]))
    assert SAFE.items() <= headers.items()


def ended(running: Server, code: str, route: str) -> float:
    """How many requests."""
    seen = read(httpx.get(running.url + "/metrics").text)
    return sum(value for _, value in seen.series("slipway_requests_total", code=code, route=route))


@pytest.mark.parametrize(("sent", "route"), [(HEAD, "other"), (HEAD + b"\r\n", "invocations")])
def test_who_was_too_slow_is_counted_and_told_of_once(running: Server, sent: bytes, route: str) -> None:
    before = ended(running, "too-slow", route)
    with connected(running) as slow:
        slow.sendall(sent)
        name = json.loads(rest(slow).split(b"\r\n\r\n")[1])["request_id"]

    assert eventually(lambda: ended(running, "too-slow", route) - before) == 1
    assert ended(running, "caller-gone", route) == 0
    lines = eventually(lambda: [each for each in running.log.read_text().splitlines() if name in each])
    assert [json.loads(each)["code"] for each in lines] == ["too-slow"]


def test_who_sent_nothing_has_asked_nothing(running: Server) -> None:
    before = ended(running, "too-slow", "other")
    with connected(running) as silent:
        assert rest(silent).startswith(b"HTTP/1.1 408 ")

    assert ended(running, "too-slow", "other") == before


def test_a_byte_now_and_then_is_no_progress(running: Server) -> None:
    sent = 0
    with connected(running) as slow:
        slow.sendall(HEAD + b"\r\n")
        slow.settimeout(0.3)
        told = b""
        while not told and sent < 90:
            slow.sendall(b" ")
            sent += 1
            try:
                told = slow.recv(1000)
            except TimeoutError:
                continue

    assert told.startswith(b"HTTP/1.1 408 ")


def test_who_does_not_take_its_answer_is_ended_and_its_answer_forgotten(running: Server) -> None:
    rows = 200_000
    body = b'{"inputs": {"x": [%s], "size": 1}}' % b",".join([b"0.123456789"] * rows)
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(4):
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", running.port))
            stack.enter_context(deaf)
            deaf.sendall(head % len(body) + body)

        eventually(lambda: held(running) >= 4)
        assert ask(running) == [6]
        eventually(lambda: held(running) == 0, seconds=60)


def test_idle_connections_are_bounded_and_ended_and_others_do_not_notice(running: Server) -> None:
    request = httpx.Request("POST", running.url + "/invocations", json=BODY)
    whole = HEAD.replace(b"100", str(len(request.content)).encode()) + b"\r\n" + request.content
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(running)) for _ in range(MOST)]
        for each in idle:
            each.sendall(whole)
        answered = [each.recv(10_000).split(b" ", 2)[1] for each in idle]
        eventually(lambda: held(running) == MOST)

        refused = httpx.post(running.url + "/invocations", json=BODY)

        assert set(answered) == {b"200"}
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["type"] == "urn:slipway:problem:too-many-connections"
        eventually(lambda: held(running) == 0, seconds=30)
        assert ended(running, "too-many-connections", "invocations") == 1
        assert running.log.read_text().count('"code": "too-many-connections"') == 1
        assert ask(running) == [6]


def test_who_hangs_up_in_the_midst_of_its_answer_hurts_nobody(running: Server) -> None:
    body = b'{"inputs": {"x": [%s], "size": 1}}' % b",".join([b"0.5"] * 100_000)
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    (worker,) = children(running, WORKER)
    for _ in range(20):
        with connected(running) as rude:
            rude.sendall(head % len(body) + body)
            rude.recv(100)
        assert ask(running) == [6]

    assert [each.pid for each in children(running, WORKER)] == [worker.pid]
    eventually(lambda: held(running) == 0)


@pytest.mark.parametrize(
    "said", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"], ids=["nothing", "only hello"]
)
def test_who_calls_by_grpc_and_then_says_nothing_is_ended(running: Server, said: bytes) -> None:
    port = int(psutil.Process(running.process.pid).environ()["SERVING_GRPC_PORT"])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
        silent.sendall(said)

        rest(silent)  # until its end, or the socket's time-out fails this

    assert ask(running) == [6]


THOUSANDS = 2000
KIB_EACH = 25
"""Of memory, for a connection that is only held: three times what it is."""


@pytest.fixture
def files() -> Iterator[None]:
    """As many open files as thousands of connections need; serving inherits the limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = THOUSANDS + 1000
    if before[1] != resource.RLIM_INFINITY and before[1] < wanted:
        pytest.fail(f"a process here may open {before[1]} files: raise the hard limit, `ulimit -Hn {wanted}`")
    soft = wanted if before[0] == resource.RLIM_INFINITY else max(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def took(running: Server) -> float:
    """Seconds that a prediction takes over a connection that is kept: the middle of a hundred."""
    with httpx.Client(base_url=running.url) as http:
        times = []
        for _ in range(100):
            began = time.perf_counter()
            assert http.post("/invocations", json=BODY).json()["predictions"] == [6]
            times.append(time.perf_counter() - began)
    return median(times)


@pytest.mark.slow  # 15 s: a server of its own, two thousand connections and their end
def test_thousands_of_idle_connections_cost_little_and_others_do_not_notice(tmp_path: Path, files: None) -> None:
    """Half have been answered, half never say anything. All are ended when their time is over."""
    seconds = {"HEAD_SECONDS": "12", "IDLE_SECONDS": "12", "CONNECTIONS": str(THOUSANDS + 10)}
    request = httpx.Request("POST", "http://x/invocations", json=BODY)
    whole = HEAD.replace(b"100", str(len(request.content)).encode()) + b"\r\n" + request.content
    with serving(
        tmp_path, workers=1, **{f"SERVING_LIMITS__{name}": value for name, value in seconds.items()}
    ) as running:
        (worker,) = children(running, WORKER)
        alone, before = took(running), worker.memory_info().rss
        with ExitStack() as stack:
            idle = [stack.enter_context(connected(running)) for _ in range(THOUSANDS)]
            for each in idle[::2]:  # in turns: a thousand at once would be an overload
                each.sendall(whole)
                assert each.recv(10_000).startswith(b"HTTP/1.1 200 ")
            assert held(running) == THOUSANDS
            among = took(running)
            grown, cpu = worker.memory_info().rss - before, sum(worker.cpu_times()[:2])

            assert among < 2 * alone + 0.005
            assert grown < THOUSANDS * KIB_EACH * 1024
            eventually(lambda: held(running) == 0, seconds=60, every=0.5)
        assert sum(worker.cpu_times()[:2]) - cpu < 5  # of twelve seconds and more
        assert ask(running) == [6]
