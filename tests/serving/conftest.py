"""What the tests of serving share: apps over fakes, models in a real registry, and the real process."""

import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from serving.app import build
from serving.engine import Engine
from serving.lineup import Lineup, Served
from serving.protocol import Model
from serving.runtimes import mlmodel, twin
from tests import fakes
from tests.servers import Server, Stack, free_port, server
from tests.serving.twins import a_twin

TABLE = pd.DataFrame({"x": [1.0, 2.0, 3.0], "size": [0.5, 0.25, 0.125]})


def slope(factor: float) -> LinearRegression:
    """A model that answers factor * x, so that an answer tells which version gave it."""
    return LinearRegression(fit_intercept=False).fit(TABLE, factor * TABLE["x"])


@pytest.fixture
def lineup() -> Lineup:
    return Lineup(("iris", "wine"))


@pytest.fixture
async def client(lineup: Lineup) -> AsyncIterator[httpx.AsyncClient]:
    """Of an app over `lineup`, which nobody changes."""
    transport = httpx.ASGITransport(build(Engine(lineup)), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://slipway") as http:
        yield http


@pytest.fixture
def serve(lineup: Lineup) -> Callable[..., Served]:
    """Put a version into the lineup, as the watcher would."""

    def put(number: int = 1, model: fakes.FakeModel | None = None, **changes: Any) -> Served:
        from dataclasses import replace

        served = Served(fakes.a_version(number, git_commit="abc"), model or fakes.FakeModel())
        lineup.put(replace(lineup.standing("iris"), served=served, **changes))
        return served

    return put


@pytest.fixture(scope="session")
def slope_of_three(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An ONNX twin that answers 3 * x."""
    found = twin.load(mlmodel.read(a_twin(tmp_path_factory.mktemp("twins") / "3", factor=3)))
    assert found is not None
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"A FULL DISK IS NOT TESTED HERE: this user may not mount one: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Registrar:
    """A person who works with the registry, by MLflow's own client."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.name = name
        self.client = MlflowClient(stack.tracking_uri, stack.tracking_uri)
        mlflow.set_tracking_uri(stack.tracking_uri)

    def register(self, model: Any, **options: Any) -> int:
        options = {"input_example": TABLE.head(1), **options}
        with quiet(), mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                pip_requirements=["scikit-learn"],
                registered_model_name=self.name,
                **options,
            )
        return max(int(each.version) for each in self.client.search_model_versions(f"name='{self.name}'"))

    def stage(self, number: int, stage: str = "Production", *, archive: bool = True) -> None:
        with quiet():
            self.client.transition_model_version_stage(
                self.name, str(number), stage, archive_existing_versions=archive and stage == "Production"
            )

    def alias(self, number: int) -> None:
        self.client.set_registered_model_alias(self.name, "production", str(number))


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow warns that stages are deprecated and that it infers types; neither is about our code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def registrar(stack: Stack, unique_name: str) -> Registrar:
    return Registrar(stack, unique_name)


@pytest.fixture
def process(
    stack: Stack, unique_name: str, tmp_path: Path
) -> Callable[..., AbstractContextManager[tuple[Server, httpx.Client]]]:
    """Start the real `python -m serving` for `unique_name`; extra keywords are environment names."""

    @contextmanager
    def run(**env: str) -> Iterator[tuple[Server, httpx.Client]]:
        port = free_port()
        names = {
            **stack.env,
            "SERVING_HOST": "127.0.0.1",
            "SERVING_PORT": str(port),
            "SERVING_GRPC_PORT": str(free_port()),
            "SERVING_MODELS": unique_name,
            "SERVING_POLL_SECONDS": "0.3",
            "SERVING_WORKERS": "1",
            "SERVING_STORE": str(tmp_path / "store"),
            "SERVING_LOG_LEVEL": "debug",
            **env,
        }
        command = [sys.executable, "-m", "serving"]
        with (
            server("serving", command, port=port, env=names, folder=tmp_path, ready="/ping") as running,
            httpx.Client(base_url=running.url, timeout=20) as http,
        ):
            yield running, http

    return run


def rows(*values: float) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["x", "size"], "data": [[value, 1.0] for value in values]}}


def predicted(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return np.round(answer.json()["predictions"], 6).tolist()
