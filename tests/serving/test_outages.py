"""The real process when what it depends on is down, hangs, is stopped or full: the old version answers, and says so."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests import servers
from tests.fakes import Relay
from tests.servers import Server, Stack, eventually, free_port
from tests.serving.conftest import Registrar, predicted, rows, slope
from tests.serving.test_app import answering, events

Process = Callable[..., AbstractContextManager[tuple[Server, httpx.Client]]]
pytestmark = pytest.mark.slow

SYNCER = "serving.syncer"
START = 90
"""Seconds: on a machine that is busy, scikit-learn alone may take half of it to import."""


@pytest.fixture
def relay(stack: Stack) -> Iterator[Relay]:
    """The way to MLflow, and through it to S3: the only one that serving is told of."""
    with Relay(port=free_port(), to=int(stack.env["MLFLOW_PORT"])) as running:
        yield running


def stale(http: httpx.Client) -> Callable[[], bool]:
    return lambda: bool(http.get("/v2").json()["stale"])


def fresh(http: httpx.Client) -> Callable[[], bool]:
    return lambda: not stale(http)()


def told(running: Server, word: str) -> list[str]:
    return [event["event"] for event in events(running) if word in event["event"]]


def child(running: Server, module: str) -> psutil.Process:
    """The one process of ours that runs `module`, once it is there."""

    def found() -> psutil.Process | None:
        children = psutil.Process(running.process.pid).children()
        return next((each for each in children if module in each.cmdline()), None)

    process = eventually(found)
    assert process is not None
    return process


def ballast(stack: Stack, registrar: Registrar, number: int, size: int) -> None:
    """Give a version a file more, of so many bytes."""
    source = registrar.client.get_model_version(registrar.name, str(number)).source or ""
    (model,) = (stack.folder / "s3" / "mlflow").rglob(f"*{source.rpartition('/')[2]}*/**/model.skops")
    (model.parent / "ballast").write_bytes(os.urandom(size))


def test_a_start_without_a_registry_answers_with_the_last_known_version_and_says_so(
    registrar: Registrar, process: Process, relay: Relay
) -> None:
    registrar.stage(registrar.register(slope(3)))
    with process(MLFLOW_TRACKING_URI=relay.url) as (_, http):
        eventually(answering(http, 1), seconds=START)
        eventually(fresh(http), seconds=START)
    relay.stop()

    with process(MLFLOW_TRACKING_URI=relay.url) as (running, http):
        eventually(lambda: http.get("/v2/health/ready").status_code == 200, seconds=START)
        assert predicted(http.post("/invocations", json=rows(2.0))) == [6.0]
        server, model = (http.get(path).json() for path in ("/v2", f"/v2/models/{registrar.name}"))
        for said in (server, model):
            assert (said["stale"], said["registry_reachable"]) == (True, False)
            assert said["registry_read_seconds_ago"] > 0
        eventually(lambda: told(running, "stale")[-1:] == ["serving is stale"])

        relay.start()
        eventually(fresh(http), seconds=START)
        assert http.get("/v2").json()["registry_reachable"]
        eventually(lambda: told(running, "stale")[-2:] == ["serving is stale", "serving is no longer stale"])


def test_a_registry_that_hangs_counts_as_one_that_is_down(registrar: Registrar, process: Process, relay: Relay) -> None:
    registrar.stage(registrar.register(slope(3)))
    with process(MLFLOW_TRACKING_URI=relay.url) as (_, http):
        eventually(answering(http, 1), seconds=START)
        eventually(fresh(http), seconds=START)

        relay.stall()

        eventually(stale(http))
        assert answering(http, 1)()
        assert http.get("/v2/health/ready").status_code == 200
        relay.flow()
        eventually(fresh(http), seconds=START)


def test_a_syncer_that_is_stopped_is_noticed_and_answers_go_on(registrar: Registrar, process: Process) -> None:
    registrar.stage(registrar.register(slope(3)))
    with process() as (running, http):
        eventually(answering(http, 1), seconds=START)
        eventually(fresh(http), seconds=START)
        syncer = child(running, SYNCER)

        syncer.send_signal(signal.SIGSTOP)
        try:
            eventually(stale(http))
            assert answering(http, 1)()
        finally:
            syncer.send_signal(signal.SIGCONT)
        eventually(fresh(http), seconds=START)


def test_a_syncer_that_is_killed_while_it_downloads_leaves_nothing_visible(
    registrar: Registrar, process: Process, relay: Relay, stack: Stack, tmp_path: Path
) -> None:
    old, new = registrar.register(slope(1)), registrar.register(slope(3))
    ballast(stack, registrar, new, 8 << 20)
    registrar.stage(old)
    store = tmp_path / "store" / registrar.name

    def incoming() -> list[Path]:
        return [file for file in store.glob(".incoming-*/**/*") if file.is_file()]

    with process(MLFLOW_TRACKING_URI=relay.url) as (running, http):
        eventually(answering(http, old), seconds=START)
        eventually(fresh(http), seconds=START)
        relay.stall(after_bytes=1 << 20)
        registrar.stage(new)
        eventually(incoming)

        killed = child(running, SYNCER)
        killed.kill()

        assert [home.name.partition("-")[0] for home in store.glob("[0-9]*")] == [str(old)]
        assert answering(http, old)()
        relay.flow()
        eventually(answering(http, new), seconds=START)
        assert predicted(http.post("/invocations", json=rows(2.0))) == [6.0]
        assert not incoming()
        assert child(running, SYNCER).pid != killed.pid


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({}, "no room in the store .*: it needs .* MiB and .* are free"),
        ({"SERVING_LARGEST_VERSION": "1000000"}, "its files have .* MiB, and at most 976.6 KiB are taken"),
    ],
    ids=["full disk", "too large"],
)
def test_a_version_without_room_is_refused_with_the_reason_and_the_old_one_answers(
    registrar: Registrar, process: Process, request: pytest.FixtureRequest, limits: dict[str, str], reason: str
) -> None:
    stack, small_disk = request.getfixturevalue("stack"), request.getfixturevalue("small_disk")
    old, new = registrar.register(slope(1)), registrar.register(slope(3))
    ballast(stack, registrar, new, 16 << 20)
    registrar.stage(old)
    metadata = f"/v2/models/{registrar.name}"

    with process(SERVING_STORE=str(small_disk), **limits) as (running, http):
        eventually(answering(http, old), seconds=START)
        registrar.stage(new)
        refusal: dict[str, Any] = eventually(lambda: http.get(metadata).json()["last_refusal"])

        assert refusal["version"] == new
        assert re.match(reason, refusal["reason"]), refusal
        assert answering(http, old)()
        assert "version refused" in told(running, "refused")


@pytest.fixture
def own(tmp_path: Path) -> Iterator["Own"]:
    with ExitStack() as s3, ExitStack() as mlflow:
        yield Own(servers.stack_environment(tmp_path), tmp_path, s3, mlflow)


@dataclass
class Own:
    """An S3 and an MLflow server that are killed, and started again on what they had."""

    env: dict[str, str]
    folder: Path
    s3: ExitStack
    mlflow: ExitStack

    def start_s3(self) -> None:
        self.s3.enter_context(servers.s3(self.env, self.folder))

    def start_mlflow(self) -> None:
        self.mlflow.enter_context(servers.mlflow(self.env, self.folder))


def test_with_s3_gone_and_then_mlflow_too_the_old_version_answers_until_they_are_back(
    process: Process, own: Own, unique_name: str
) -> None:
    own.start_s3()
    servers.make_buckets(own.env)
    own.start_mlflow()
    registrar = Registrar(Stack(own.folder, own.env), unique_name)
    old, new = registrar.register(slope(1)), registrar.register(slope(3))
    registrar.stage(old)
    there = {"MLFLOW_TRACKING_URI": own.env["MLFLOW_TRACKING_URI"]}

    with process(**there) as (_, http):
        eventually(answering(http, old), seconds=START)
        own.s3.close()
        registrar.stage(new)
        refusal: dict[str, Any] = eventually(lambda: refused(http, unique_name), seconds=START)
        assert refusal["version"] == new
        assert answering(http, old)()
        assert fresh(http)()
        own.start_s3()
        eventually(answering(http, new), seconds=START)
        assert refused(http, unique_name) is None

    own.s3.close()
    own.mlflow.close()
    with process(**there) as (running, http):
        eventually(answering(http, new), seconds=START)
        assert stale(http)()
        eventually(lambda: told(running, "stale")[-1:] == ["serving is stale"])
        own.start_s3()
        own.start_mlflow()
        eventually(fresh(http), seconds=START)
        registrar.stage(old)
        eventually(answering(http, old))


def refused(http: httpx.Client, name: str) -> Any:
    return http.get(f"/v2/models/{name}").json()["last_refusal"]


SIGNED_WITH = "of-the-tests-only"


def test_an_alias_that_is_moved_is_followed_at_once_through_a_webhook_of_mlflows(
    registrar: Registrar, process: Process
) -> None:
    """Nobody polls: whatever is followed, MLflow has told of."""
    one, two = registrar.register(slope(1)), registrar.register(slope(3))
    with process(SERVING_POLL_SECONDS="3600", SERVING_WEBHOOK_SECRET=SIGNED_WITH) as (running, http):
        eventually(lambda: "is Production yet; promote one" in http.get("/v2/health/ready").text, seconds=START)
        hook = registrar.client.create_webhook(
            "of-a-test",
            f"{running.url}/v1/webhooks/mlflow",
            ["model_version_alias.created"],
            secret=SIGNED_WITH,
        )
        try:
            for number in (one, two):
                registrar.alias(number)
                eventually(answering(http, number), seconds=START)
        finally:
            registrar.client.delete_webhook(hook.webhook_id)
