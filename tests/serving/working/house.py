"""Serving and its job workers over a store that was filled by hand: no MLflow, a version that answers factor * x."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.servers import Server, eventually, free_port, server, spawn
from tests.serving.twins import post

MODEL = "iris"
ENDED = {"succeeded", "failed", "dead", "cancelled", "expired"}


@dataclass
class House:
    """Nothing in it runs until it is started."""

    folder: Path
    env: dict[str, str]
    port: int
    supervisor: int = 0
    """Of serving, while it runs: its process."""

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @contextmanager
    def serving(self, *more: str) -> Iterator[httpx.Client]:
        command = [sys.executable, "-m", "serving", *more]
        running = server("serving", command, port=self.port, env=self.env, folder=self.folder, ready="/v2/health/ready")
        with running as started, httpx.Client(base_url=started.url, timeout=30) as http:
            eventually(lambda: started.finds("/v2/health/ready"), seconds=60)
            self.supervisor = started.process.pid
            yield http

    @contextmanager
    def workers(self, **names: str) -> Iterator[Server]:
        """`python -m serving jobs`, until the block ends."""
        log = self.folder / "jobs.log"
        command = [sys.executable, "-m", "serving", "jobs"]
        with log.open("ab") as output:
            running = Server("jobs", 0, spawn(command, {**self.env, **names}, output), log)
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def house(folder: Path, **names: str) -> Iterator[House]:
    """With version 1, which answers x."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SERVING_", "MLFLOW_", "AWS_", "SLIPWAY_"))
    }
    port = free_port()
    env = {
        **inherited,
        "SLIPWAY_ENV": "local",
        "SERVING_OFFLINE": "true",
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": "0",
        "SERVING_MODELS": MODEL,
        "SERVING_WORKERS": "1",
        "SERVING_STORE": str(folder / "store"),
        "SERVING_JOBS__DATABASE": f"sqlite:///{folder}/jobs.sqlite",
        # Empty, for a .env in the project's folder is read too.
        **dict.fromkeys(("SERVING_JOBS__PUBLIC_S3", "SERVING_JOBS__PLACE", "SERVING_JOBS__FILES"), ""),
        "SERVING_JOBS__BACKOFF_SECONDS": "0.05",
        "SERVING_JOBS__INLINE_BYTES": str(8 << 20),
        "SERVING_JOBS__CALLBACK_SECRET": "a secret of the tests",
        "SERVING_JOBS__PRIVATE_CALLBACKS": "true",
        **names,
    }
    (folder / "store").mkdir()
    post(folder / "store", 1, factor=1)
    yield House(folder, env, port)


def workers_of(running: Server) -> list[psutil.Process]:
    """The job workers under a supervisor."""
    found = psutil.Process(running.process.pid).children()
    return [each for each in found if "serving.working.worker" in _command(each)]


def rows(*values: float) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["x", "size"], "data": [[value, 1.0] for value in values]}}


def submit(http: httpx.Client, *values: float, headers: dict[str, str] | None = None, **words: str) -> dict[str, Any]:
    answer = http.post(f"/v1/models/{MODEL}/jobs", json=rows(*values), params=words, headers=headers)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert answer.headers["location"] == told["href"]
    return told


def ended(http: httpx.Client, job: dict[str, Any], *, seconds: float = 60) -> dict[str, Any]:
    """Its status once it has ended."""

    def look() -> dict[str, Any] | None:
        told: dict[str, Any] = http.get(job["href"]).json()
        return told if told["state"] in ENDED else None

    found = eventually(look, seconds=seconds)
    assert found is not None
    return found


def _command(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return found
