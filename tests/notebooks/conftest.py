"""What a notebook's reader has: the path has run, its best version is Production, and serving answers with it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from mlflow import MlflowClient

from tests import workspace
from tests.servers import Stack, eventually, free_port, server
from tests.workspace import Workspace

MODEL = "notebooks"


@dataclass(frozen=True)
class Desk:
    """Where a notebook is opened, and what its author knows."""

    workspace: Workspace
    registry: MlflowClient
    env: dict[str, str]
    serving_url: str

    def served(self) -> str:
        """The version that answers; empty while none does."""
        answer = httpx.get(f"{self.serving_url}/v2/models/{MODEL}", timeout=5)
        return str(answer.json().get("version", ""))

    def production(self) -> str:
        return str(self.registry.get_model_version_by_alias(MODEL, "production").version)

    def versions(self) -> list[str]:
        return sorted(version.version for version in self.registry.search_model_versions(f"name = '{MODEL}'"))


@pytest.fixture(scope="session")
def desk(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Trained and promoted once; the notebooks leave it as they found it."""
    made = workspace.make(tmp_path_factory.mktemp("desk"), stack.env, model=MODEL)
    made.run("pipelines")
    made.run("pipelines.promote", "best", "--reason", "for the notebooks")
    port = free_port()
    env = {
        **made.env,
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(free_port()),
        "SERVING_MODELS": MODEL,
        "SERVING_STORE": str(tmp_path_factory.mktemp("store")),
        "SERVING_JOBS__DATABASE": f"sqlite:///{tmp_path_factory.mktemp('jobs')}/jobs.sqlite",
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),
    }
    logs = tmp_path_factory.mktemp("logs")
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=port, env=env, folder=logs, ready="/health") as running:
        found = Desk(made, MlflowClient(stack.tracking_uri, stack.tracking_uri), env, running.url)
        eventually(lambda: found.served() == found.production(), seconds=60)
        with server("jobs", [*command, "jobs"], port=port, env=env, folder=logs, ready="/health"):
            yield found
