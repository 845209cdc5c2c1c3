"""The hatch between the two rooms: both real doors against a real MLflow server.

What one room writes the other must read, and where both read the same thing they must say the same of it.
"""

import shutil
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import mlflow
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from pipelines.registry import Registry
from serving import production
from serving.registry import MlflowRegistry
from tests.servers import ROOT, Server, Stack, eventually, free_port, server
from tests.workspace import Workspace


@pytest.fixture(scope="module")
def serving_alone(trained: Workspace, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`python -m serving` in a folder that holds nothing else: no pipelines, no params.yaml, no DVC."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    kept = {name: value for name, value in stack.env.items() if name not in ("PYTHONPATH", "PWD")}
    env = {
        **kept,
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(free_port()),
        "SERVING_MODELS": "trained-once",
        "SERVING_STORE": str(folder / "store"),
        "SERVING_POLL_SECONDS": "0.2",
    }
    start = (
        "import os, runpy, sys; os.chdir(sys.argv.pop()); sys.path[0] = ''; runpy.run_module('serving', {}, '__main__')"
    )
    command = [sys.executable, "-c", start, str(folder)]
    with server("serving-alone", command, port=port, env=env, folder=folder, ready="/health") as running:
        trained.run("pipelines.promote", "best")
        eventually(lambda: running.answers("/v2/health/ready") and metadata(running).get("version"), seconds=60)
        yield running


def metadata(running: Server) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{running.url}/v2/models/trained-once", timeout=5).json()
    return found


def test_a_version_that_pipelines_made_is_served_where_pipelines_does_not_exist(
    serving_alone: Server, trained: Workspace
) -> None:
    rows = pd.read_parquet(trained.folder / "data/processed/test.parquet").drop(columns="target")
    best = mlflow.pyfunc.load_model(
        str(trained.folder / "models" / metadata(serving_alone)["tags"]["slipway.candidate"])
    )

    answer = httpx.post(
        f"{serving_alone.url}/invocations", json={"dataframe_split": rows.to_dict(orient="split")}, timeout=30
    )

    assert answer.headers["x-model-version"] == "1"
    assert answer.json()["predictions"] == best.predict(rows).tolist()


def test_the_lineage_that_register_writes_is_shown_by_serving(serving_alone: Server, trained: Workspace) -> None:
    tags = metadata(serving_alone)["tags"]

    assert tags["slipway.git.commit"] == trained.git("rev-parse", "HEAD")
    assert {"slipway.data.md5", "slipway.data.url", "slipway.params.sha256", "slipway.lock.sha256"} <= set(tags)


def test_the_signature_that_train_writes_is_what_serving_asks_for(serving_alone: Server, trained: Workspace) -> None:
    rows = pd.read_parquet(trained.folder / "data/processed/test.parquet").drop(columns="target")

    assert [tensor["name"] for tensor in metadata(serving_alone)["inputs"]] == list(rows.columns)


@pytest.fixture(scope="module")
def two_versions(stack: Stack) -> Registry:
    """A registered model with three versions, none of them Production."""
    client = MlflowClient(stack.tracking_uri, stack.tracking_uri)
    mlflow.set_tracking_uri(stack.tracking_uri)
    registry = Registry(client, "both-doors")
    rows = pd.DataFrame({"x": [1.0, 2.0]})
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            LinearRegression().fit(rows, [1.0, 2.0]),
            name="model",
            signature=infer_signature(rows, [1.0, 2.0]),
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    for _ in range(3):
        registry.create(source=info.model_uri, run_id=run.info.run_id, tags={}, description="")
    return registry


Change = tuple[str, str]
CHANGES = st.lists(st.tuples(st.sampled_from(["stage", "alias"]), st.sampled_from(["1", "2", "3"])), max_size=4)


@settings(max_examples=15, deadline=None)  # a real server answers each step
@given(changes=CHANGES)
def test_both_rooms_agree_which_version_is_production(
    two_versions: Registry, stack: Stack, changes: list[Change]
) -> None:
    """Serving has watched all the while; pipelines looks after each change, as its commands do."""
    reader = MlflowRegistry(stack.tracking_uri)
    client = MlflowClient(stack.tracking_uri, stack.tracking_uri)
    two_versions.align(two_versions.get("1"))
    two_versions.notice_external()
    decision = production.choose(None, reader.read("both-doors"))
    for what, version in changes:
        change(client, what, version)

        decision = production.choose(decision, reader.read("both-doors"))

        two_versions.notice_external()
        seen = two_versions.production()
        assert decision.version is not None
        assert seen is not None
        assert str(decision.version.number) == seen.version


def change(client: MlflowClient, what: str, version: str) -> None:
    if what == "alias":
        client.set_registered_model_alias("both-doors", "production", version)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage("both-doors", version, "Production", archive_existing_versions=True)
