"""MLflow as the pipelines' tests look at it."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient

from pipelines.registry import Registry
from tests.pipelines.registered import a_registry
from tests.servers import Stack


@pytest.fixture
def client(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """MLflow's own client on the test's server; `mlflow.*` functions lead there too while the test runs."""
    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.tracking_uri)
    mlflow.set_tracking_uri(stack.tracking_uri)
    yield MlflowClient(stack.tracking_uri)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def registry(client: MlflowClient, unique_name: str) -> Registry:
    return a_registry(client, unique_name)
