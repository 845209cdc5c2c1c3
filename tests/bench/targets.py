"""The servers that are measured, each a real process with two workers; started when the block is entered."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from serving.access import key_file, secret
from serving.access.key_file import Record
from tests.bench import processes
from tests.bench.lines import ECHO, FLOOR, KEYED, MLFLOW
from tests.bench.models import Made
from tests.bench.processes import Memory
from tests.servers import Server, eventually, free_port, server
from tests.workspace import quiet_environment

WORKERS = 2


@dataclass(frozen=True)
class Target:
    name: str
    servers: tuple[Server, ...]
    grpc_port: int = 0
    path: str = "/invocations"
    bodies: Mapping[int, Path] = field(default_factory=dict)
    """By number of rows, what it is asked over HTTP; not given if it takes what MLflow's server does."""
    key: str = ""
    """What it is shown, if it asks for one."""

    @property
    def url(self) -> str:
        return self.servers[0].url + self.path

    def memory(self) -> Memory:
        return processes.memory(processes.family(self.pids))

    @property
    def pids(self) -> list[int]:
        """Of what was started; these have children."""
        return [each.process.pid for each in self.servers]


class Restless(Exception):
    """A server goes on computing long after its last caller has gone."""


def settle(*running: Target) -> None:
    """Wait until nothing is left to answer of a load whose callers are gone: it would slow the next. Restless."""
    pids = [pid for each in running for pid in each.pids]
    try:
        eventually(lambda: processes.resting(processes.family(pids)), seconds=60)
    except AssertionError as never:
        raise Restless from never


@contextmanager
def floor(folder: Path) -> Iterator[Target]:
    """Bare FastAPI under uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench.floors:app", f"--port={port}", f"--workers={WORKERS}"]
    quiet = ["--no-access-log", "--log-level=warning"]
    with server("floor", [*command, *quiet], port=port, env=quiet_environment(), folder=folder, ready="/docs") as one:
        yield Target(FLOOR, (one,))


@contextmanager
def echo(folder: Path) -> Iterator[Target]:
    """An empty grpc.aio server: as many processes as there are workers, on one port."""
    port, env, each = free_port(), quiet_environment(), list[Server]()
    with ExitStack() as running:
        for number in range(WORKERS):
            command = [sys.executable, "-m", "tests.bench.floors", str(port)]
            name = f"echo-{number}"
            each.append(running.enter_context(server(name, command, port=port, env=env, folder=folder, ready=None)))
        yield Target(ECHO, tuple(each), port)


@contextmanager
def mlflow_serve(made: Made, model: str, folder: Path) -> Iterator[Target]:
    port, env = free_port(), {**quiet_environment(), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(made.folder(model)), "-p", str(port)]
    words = ["--env-manager", "local", "--workers", str(WORKERS)]
    with server(f"mlflow-{model}", [*command, *words], port=port, env=env, folder=folder, ready="/ping") as one:
        yield Target(MLFLOW, (one,))


@contextmanager
def slipway(made: Made, model: str, runtime: str, folder: Path, *, keyed: bool = False) -> Iterator[Target]:
    """From the store alone: the registry is not there, which is not noticed by whoever asks for predictions.

    `keyed`: it asks for a key, and has a rate for it that nobody reaches.
    """
    port, grpc_port = free_port(), free_port()
    env = {
        **quiet_environment(),
        "SLIPWAY_ENV": "local",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "SERVING_MODELS": model,
        "SERVING_STORE": str(made.store),
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(grpc_port),
        "SERVING_WORKERS": str(WORKERS),
        "SERVING_RUNTIME": runtime,
        "SERVING_LOG_LEVEL": "warning",
        "SERVING_POLL_SECONDS": "60",
    }
    key = _key(folder / "keys.json") if keyed else ""
    if keyed:
        env |= {"SERVING_AUTH__KEYS": str(folder / "keys.json"), "SERVING_LIMITS__RATE": "1e9"}
    name = f"slipway-{model}-{runtime}{'-keyed' if keyed else ''}"
    command = [sys.executable, "-m", "serving"]
    with server(name, command, port=port, env=env, folder=folder, ready="/ping") as one:
        eventually(lambda: _ready(one, model, runtime, key), seconds=90)
        yield Target(KEYED if keyed else f"Slipway, {runtime}", (one,), grpc_port, key=key)


def _key(path: Path) -> str:
    """A new one, in a file of its own."""
    made = secret.made()
    with key_file.changing(path) as records:
        records[made.id] = Record(made.id, "the benchmark", made.digest, ("predict",), datetime.now(UTC))
    return made.key


def _ready(one: Server, model: str, runtime: str, key: str) -> bool:
    """Both workers are, if twenty answers in a row say so."""
    headers = {"x-api-key": key} if key else {}
    answers = [httpx.get(f"{one.url}/v2/models/{model}", headers=headers, timeout=60) for _ in range(20)]
    return all(each.status_code == 200 and each.json()["runtime"] == runtime for each in answers)
