"""Real servers for the tests, each on a free port and in a folder of its own: start, wait until it answers, stop.

Not fixtures: `conftest.py` decides how long a server lives.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import httpx
from cryptography.fernet import Fernet
from minio import Minio

ROOT = Path(__file__).parent.parent
START_SECONDS = 90

T = TypeVar("T")


def free_port() -> int:
    """A port nobody listens on now; servers started at once on ports taken at once do not collide."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(look: Callable[[], T], *, seconds: float = 20, every: float = 0.05) -> T:
    """The first true value of `look()`; AssertionError with the last one when none came in time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {look}, last saw {seen!r}"
        time.sleep(every)  # noqa: TID251 - the one place that waits, so that no test has to
    return seen


@dataclass
class Server:
    """A child process that listens on `port`; `log` is what it printed."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, path: str) -> bool:
        assert self.process.poll() is None, f"{self.name} died:\n{self.log.read_text()[-3000:]}"
        try:
            return httpx.get(self.url + path, timeout=5).status_code < 500
        except httpx.TransportError:
            return False

    def finds(self, path: str) -> bool:
        """Is it there, and nothing wrong with it?"""
        assert self.process.poll() is None, f"{self.name} died:\n{self.log.read_text()[-3000:]}"
        try:
            return httpx.get(self.url + path, timeout=5).is_success
        except httpx.TransportError:
            return False

    def listens(self) -> bool:
        assert self.process.poll() is None, f"{self.name} died:\n{self.log.read_text()[-3000:]}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ask the whole process group to end; insist after ten seconds."""
        for ask in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, ask)
                self.process.wait(10)
            except ProcessLookupError:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            return


@contextmanager
def server(
    name: str, command: list[str], *, port: int, env: Mapping[str, str], folder: Path, ready: str | None
) -> Iterator[Server]:
    """Run `command` until the block ends; enters the block once the path `ready` is answered, or it listens."""
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        running = Server(name, port, spawn(command, env, output), log)
    try:
        eventually(running.listens if ready is None else partial(running.answers, ready), seconds=START_SECONDS)
        yield running
    finally:
        running.stop()


def spawn(command: list[str], env: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # a group of its own, so that stop() reaches its children too
        command, cwd=ROOT, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )


@dataclass
class Stack:
    """An S3 server and an MLflow server, and the environment names that lead to them."""

    folder: Path
    env: dict[str, str] = field(repr=False)

    @property
    def tracking_uri(self) -> str:
        return self.env["MLFLOW_TRACKING_URI"]

    @property
    def s3_url(self) -> str:
        return self.env["AWS_ENDPOINT_URL"]


def stack_environment(folder: Path) -> dict[str, str]:
    """The names of .env.example with ports and folders nobody else uses."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SERVING_", "MLFLOW_", "AWS_", "SLIPWAY_"))
    }
    s3, mlflow, serving, grpc = (free_port() for _ in range(4))
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}",
        "SLIPWAY_ENV": "local",
        "SLIPWAY_STATE": str(folder),
        "S3_PORT": str(s3),
        "MLFLOW_PORT": str(mlflow),
        "SERVING_PORT": str(serving),
        "SERVING_GRPC_PORT": str(grpc),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": "slipway",
        "AWS_SECRET_ACCESS_KEY": "slipway-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Webhooks may go to serving, which is here too, and those that were just made count at once.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_WEBHOOK_CACHE_TTL": "0",
    }


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """A running S3 server with the buckets `mlflow` and `dvc`, and MLflow on top of it."""
    env = stack_environment(folder)
    with s3(env, folder):
        make_buckets(env)
        with mlflow(env, folder):
            yield Stack(folder, env)


def make_buckets(env: Mapping[str, str]) -> None:
    client = s3_client(env)
    for bucket in ("mlflow", "dvc"):
        client.make_bucket(bucket)


def s3_client(env: Mapping[str, str]) -> Minio:
    """Of a stack's S3 server. What is put into its folder past it, it may not see for a while."""
    return Minio(
        f"127.0.0.1:{env['S3_PORT']}",
        access_key=env["AWS_ACCESS_KEY_ID"],
        secret_key=env["AWS_SECRET_ACCESS_KEY"],
        region=env["AWS_DEFAULT_REGION"],
        secure=False,
    )


def s3(env: Mapping[str, str], folder: Path) -> AbstractContextManager[Server]:
    """The S3 server of a stack; on the folder of an earlier one it has that one's objects."""
    command = [sys.executable, "-m", "infra.local.s3"]
    return server("s3", command, port=int(env["S3_PORT"]), env=env, folder=folder, ready="/")


def mlflow(env: Mapping[str, str], folder: Path) -> AbstractContextManager[Server]:
    """The MLflow server of a stack; on the folder of an earlier one it has that one's database."""
    command = [sys.executable, "-m", "infra.local.tracking"]
    return server("mlflow", command, port=int(env["MLFLOW_PORT"]), env=env, folder=folder, ready="/health")
