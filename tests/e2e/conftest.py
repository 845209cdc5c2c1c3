"""Platforms to work with: one whose whole stack is its own, and one on the session's MLflow and S3 servers."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values

from infra.local import leftovers
from tests import workspace
from tests.e2e.driver import Platform
from tests.servers import ROOT, Stack, free_port, server

Hosted = Callable[[str], AbstractContextManager[Platform]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A fresh copy of the project with a `.env` of its own, as `make setup` leaves a clone; nothing runs yet."""
    platform = _alone(tmp_path_factory.mktemp("alone"))
    yield platform
    platform.stack("down")
    left = platform.processes()
    leftovers.end(left)
    assert not left


def _alone(folder: Path) -> Platform:
    example = ROOT / ".env.example"
    # Nothing that `.env` sets may come from the shell that runs the tests: the file is what a newcomer has.
    names = set(dotenv_values(example))
    env = {name: value for name, value in workspace.quiet_environment().items() if name not in names}
    made = workspace.make(folder, env, model="slipway")
    text = example.read_text()
    for port in ("S3_PORT", "MLFLOW_PORT", "SERVING_PORT", "SERVING_GRPC_PORT"):
        text = re.sub(rf"(?m)^{port}=.*$", f"{port}={free_port()}", text)
    (folder / ".env").write_text(text)
    written = dotenv_values(folder / ".env")
    return Platform(
        made, "slipway", f"http://127.0.0.1:{written['MLFLOW_PORT']}", f"http://127.0.0.1:{written['SERVING_PORT']}"
    )


@pytest.fixture(scope="session")
def hosted(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    """Make a platform on the session's servers for the model of this name, with a serving of its own."""

    @contextmanager
    def make(name: str) -> Iterator[Platform]:
        folder = tmp_path_factory.mktemp(name)
        made = workspace.make(folder, stack.env, model=name)
        port = free_port()
        env = {
            **stack.env,
            "SERVING_PORT": str(port),
            "SERVING_GRPC_PORT": str(free_port()),
            "SERVING_MODELS": name,
            "SERVING_STORE": str(tmp_path_factory.mktemp("store")),
        }
        logs = tmp_path_factory.mktemp("logs")
        command = [sys.executable, "-m", "serving"]
        with server("serving", command, port=port, env=env, folder=logs, ready="/health") as running:
            yield Platform(made, name, stack.tracking_uri, running.url)

    return make
