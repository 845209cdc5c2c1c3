"""`python -m serving` over a store that somebody else filled: real processes, real signals, and no registry."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from serving.store.posted import Board, Posting
from tests.fakes import a_version
from tests.servers import ROOT, Server, eventually, free_port, server
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.twins import post

WORKER, SYNCER, FORK_SERVER = "serving.worker", "serving.syncer", "serving.hosting.forkserver"
BODY = {"dataframe_split": {"columns": ["x", "size"], "data": [[2.0, 1.0]]}}


@contextmanager
def serving(folder: Path, *, workers: int, **extra: str) -> Iterator[Server]:
    """Answers 3 * x; the registry is down all the time. `extra`: environment names."""
    port = free_port()
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_", "SLIPWAY_"))
    }
    env = {
        **inherited,
        "SLIPWAY_ENV": "local",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "SERVING_MODELS": "iris",
        "SERVING_HOST": "127.0.0.1",
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(free_port()),
        "SERVING_WORKERS": str(workers),
        "SERVING_STORE": str(folder / "store"),
        **extra,
    }
    (folder / "store").mkdir()
    post(folder / "store", 1, factor=3)
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=port, env=env, folder=folder, ready="/v2/health/ready") as running:
        yield running


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers and a syncer. Whoever ends one of them waits until there is another one."""
    with serving(tmp_path_factory.mktemp("two"), workers=2) as running:
        eventually(lambda: len(children(running, WORKER)) == 2 and children(running, SYNCER))
        yield running


def test_an_ipv6_address_is_listened_on_by_both_transports(tmp_path: Path) -> None:
    port = free_port()
    anywhere = {"SERVING_HOST": "::", "SERVING_AUTH__ANYONE": "true", "SERVING_GRPC_PORT": str(port)}
    with serving(tmp_path, workers=1, **anywhere) as running:
        assert httpx.get(f"http://[::1]:{running.port}/v2/health/ready").status_code == 200
        with grpc.insecure_channel(f"[::1]:{port}") as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
            )
            assert check(HealthCheckRequest(), timeout=20).status == HealthCheckResponse.SERVING


def children(running: Server, module: str) -> list[psutil.Process]:
    return [each for each in psutil.Process(running.process.pid).children() if module in command(each)]


def command(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
    except psutil.NoSuchProcess:  # it ended just now
        return []
    return found


def family(running: Server) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(running.process.pid).children(recursive=True)
    return found


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def ask(running: Server) -> Any:
    """Over a connection of its own, which any worker may take."""
    answer = httpx.post(f"{running.url}/invocations", json=BODY, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def logged(running: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]


def test_each_of_two_workers_answers_on_the_one_port(two: Server) -> None:
    for alone, other in ((0, 1), (1, 0)):
        workers = eventually(lambda: len(found := children(two, WORKER)) == 2 and found)
        assert isinstance(workers, list)
        workers[other].suspend()
        try:
            assert [ask(two) for _ in range(5)] == [[6]] * 5, f"worker {alone} alone"
        finally:
            workers[other].resume()


def machine_learning(worker: psutil.Process) -> list[str]:
    """The libraries that it has in memory."""
    mapped = Path(f"/proc/{worker.pid}/maps").read_text()
    return [name for name in ("onnxruntime", "pandas", "sklearn", "torch", "scipy") if f"/{name}/" in mapped]


def test_a_worker_on_a_twin_maps_no_machine_learning_library_but_its_runtime(two: Server) -> None:
    assert [machine_learning(worker) for worker in children(two, WORKER)] == [["onnxruntime"]] * 2


def test_a_worker_on_a_version_without_a_twin_maps_none(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, SERVING_ALLOW_CODE="true") as running:
        a_pyfunc(tmp_path / "store/iris/2-own")
        Board(("iris",), tmp_path / "store").put(Posting("iris", a_version(2), "iris/2-own"))

        eventually(lambda: ask(running) == [2], seconds=60)

        assert [machine_learning(worker) for worker in children(running, WORKER)] == [["onnxruntime"]]


def test_when_a_worker_is_killed_the_other_answers_and_a_new_one_comes(two: Server) -> None:
    before = {each.pid for each in children(two, WORKER)}
    killed, other = children(two, WORKER)
    refused: list[str] = []
    enough = threading.Event()

    def call() -> None:
        while not enough.is_set():
            try:
                assert ask(two) == [6]
            except Exception as error:  # noqa: BLE001 - collected and asserted on
                refused.append(repr(error))

    killed.kill()
    caller = threading.Thread(target=call)
    caller.start()
    try:
        (fresh,) = eventually(lambda: {each.pid for each in children(two, WORKER)} - before, seconds=30)
        other.suspend()  # from now on only the new one can answer
        try:
            assert ask(two) == [6]
        finally:
            other.resume()
    finally:
        enough.set()
        caller.join(30)

    assert refused == []
    assert fresh in {each.pid for each in children(two, WORKER)}
    died = [(line["program"], line["status"]) for line in logged(two) if line["event"] == "died"]
    assert died[-1][0].startswith("worker ")
    assert died[-1][1] == -signal.SIGKILL


@pytest.mark.parametrize("module", [SYNCER, FORK_SERVER])
def test_when_another_child_is_killed_it_comes_back_and_no_caller_notices(two: Server, module: str) -> None:
    workers = {each.pid for each in children(two, WORKER)}
    (killed,) = children(two, module)

    killed.kill()

    assert ask(two) == [6]
    eventually(lambda: {each.pid for each in children(two, module)} - {killed.pid})
    assert {each.pid for each in children(two, WORKER)} == workers


def test_when_the_supervisor_is_killed_nothing_of_it_stays(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as running:
        everybody = eventually(lambda: len(found := family(running)) == 3 and found)
        assert isinstance(everybody, list)

        running.process.kill()

        eventually(lambda: all(ended(each) for each in everybody))


def test_sigterm_ends_everybody_with_status_0(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as running:
        everybody = eventually(lambda: len(found := family(running)) == 4 and found)
        assert isinstance(everybody, list)

        running.process.send_signal(signal.SIGTERM)

        assert running.process.wait(20) == 0
        assert [each for each in everybody if not ended(each)] == []
        assert "killed" not in [line["event"] for line in logged(running)]


def test_a_program_that_cannot_be_started_is_tried_again_and_hurts_no_other(tmp_path: Path) -> None:
    program = """
import logging, sys
from serving import logs
from serving.supervisor import Program, supervise

logs.configure("debug", sys.stderr)
closed = 999
sys.exit(supervise([Program("broken", "http.server", inherits=(closed,)), Program("good", "http.server", ("0",))]))
"""
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=output) as running,
    ):
        try:
            eventually(lambda: log.read_text().count("not started") >= 2)
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(20) == 0

    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {line["program"] for line in said if line["event"] == "died"} == {"broken"}
