"""A real `python -m serving` on a real registry, as one watches it from outside: by its ports and its processes."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.servers import Server, eventually, free_port, server

WORKER, SYNCER, FORK_SERVER = "serving.worker", "serving.syncer", "serving.hosting.forkserver"

PATIENCE = float(os.environ.get("TESTS_PATIENCE", "1"))
"""How many times as long as promised it may take on a machine that is busy with other things."""
PROMOTED_SECONDS = 3 * PATIENCE
"""A promotion is what every worker answers with by then."""
BACK_SECONDS = 5 * PATIENCE
"""What has died is back by then."""


@dataclass(frozen=True)
class Running:
    server: Server
    grpc_port: int

    @property
    def port(self) -> int:
        return self.server.port

    def children(self, module: str) -> list[psutil.Process]:
        """Of the supervisor; hosts are the fork server's."""
        return [each for each in psutil.Process(self.server.process.pid).children() if module in _command(each)]

    def child(self, module: str) -> psutil.Process:
        (found,) = self.children(module)
        return found

    def workers(self) -> list[psutil.Process]:
        """Both of them."""
        return eventually(lambda: _pair(self.children(WORKER)), seconds=60)

    def callers(self, worker: psutil.Process) -> set[int]:
        """The connections that `worker` has accepted, by their callers' ports."""
        found = worker.net_connections("tcp")
        return {each.raddr.port for each in found if each.raddr and each.laddr.port in (self.port, self.grpc_port)}

    def metadata(self, model: str) -> dict[str, Any]:
        """Over a connection of its own, which any worker may take."""
        answer = httpx.get(f"{self.server.url}/v2/models/{model}", timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def answers_by(self, worker: psutil.Process, model: str) -> bool:
        """Does a prediction over a new connection come from `worker`? Another one may get it instead."""
        with httpx.Client(base_url=self.server.url, timeout=30) as http:
            if not http.get(f"/v2/models/{model}/ready").is_success:
                return False
            found = psutil.Process().net_connections("tcp")
            ours = {each.laddr.port for each in found if each.raddr and each.raddr.port == self.port}
            return bool(ours & self.callers(worker))

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.server.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@contextmanager
def serving(
    environment: Mapping[str, str], folder: Path, *models: str, ready: str = "/v2/health/ready", **names: str
) -> Iterator[Running]:
    """Two workers for `models`, whatever the registry of `environment` says of them; `names` are more environment.

    Enters the block once the path `ready` is answered well.
    """
    port, grpc_port = free_port(), free_port()
    env = {
        **environment,
        "SERVING_HOST": "127.0.0.1",
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(grpc_port),
        "SERVING_MODELS": ",".join(models),
        "SERVING_WORKERS": "2",
        "SERVING_STORE": str(folder / "store"),
        # Versions that misbehave bring code of their own.
        "SERVING_ALLOW_CODE": "true",
        **names,
    }
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=port, env=env, folder=folder, ready="/ping") as started:
        running = Running(started, grpc_port)
        running.workers()
        eventually(lambda: started.finds(ready), seconds=120)
        yield running


def _pair(found: list[psutil.Process]) -> list[psutil.Process]:
    return found if len(found) == 2 else []


def _command(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
    except psutil.Error:  # it ended just now
        return []
    return found
