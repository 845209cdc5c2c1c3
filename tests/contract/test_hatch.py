"""The hatch between the two rooms: both real doors against a real MLflow server.

What one room writes the other must read, and where both read the same thing they must say the same of it.
"""

import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from minio import Minio
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from pipelines import manifest, tracking
from pipelines.registry import Registry
from serving.admission import decision, skops_types
from serving.admission.rules import Rules
from serving.errors import VersionRefused
from serving.following import production
from serving.following.registry import MlflowRegistry
from serving.protocol import Version
from serving.runtimes import mlmodel
from serving.trust import Trust
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
        "SERVING_TRUST": "signed",
        "SERVING_TRUST_KEYS": trust_keys(trained),
    }
    start = (
        "import os, runpy, sys; os.chdir(sys.argv.pop()); sys.path[0] = ''; runpy.run_module('serving', {}, '__main__')"
    )
    command = [sys.executable, "-c", start, str(folder)]
    with server("serving-alone", command, port=port, env=env, folder=folder, ready="/health") as running:
        trained.run("pipelines.promote", "best")
        eventually(lambda: running.answers("/v2/health/ready") and metadata(running).get("version"), seconds=60)
        yield running


def trust_keys(trained: Workspace) -> str:
    """What pipelines tells a person to set; the key is there already."""
    line = next(line for line in trained.run("pipelines.keys").splitlines() if line.startswith("SERVING_TRUST_KEYS="))
    return line.removeprefix("SERVING_TRUST_KEYS=")


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


def test_what_register_signs_is_signed_for_serving(serving_alone: Server) -> None:
    found = metadata(serving_alone)

    assert found["trust"] == "signed"
    assert "slipway.manifest" in found["tags"]


KEY = Ed25519PrivateKey.generate()
TRUST = Trust("signed", (KEY.public_key().public_bytes_raw(),))


def downloaded(stack: Stack, name: str, folder: Path) -> tuple[Path, Version]:
    """Version 1 as serving gets it."""
    reader = MlflowRegistry(stack.tracking_uri)
    version = reader.read(name).in_production[0]
    folder.mkdir()
    return reader.download(version, folder), version


@pytest.fixture
def published(stack: Stack, unique_name: str) -> ModelVersion:
    """A version that pipelines has signed and promoted."""
    registry = Registry(MlflowClient(stack.tracking_uri, stack.tracking_uri), unique_name)
    version = a_version_of(registry, stack)
    manifest.publish(registry, version, KEY)
    registry.align(version)
    return version


def test_a_flipped_byte_in_the_bucket_is_refused(published: ModelVersion, stack: Stack, tmp_path: Path) -> None:
    assert TRUST.check(*downloaded(stack, published.name, tmp_path / "before")) == "signed"
    found = bucket(stack)
    keys = [each.object_name for each in found.list_objects("mlflow", recursive=True)]
    (model,) = [key for key in keys if model_id(published) in key and key.endswith("/model.skops")]
    content = bytearray(found.get_object("mlflow", model).read())
    content[len(content) // 2] ^= 1
    found.put_object("mlflow", model, BytesIO(content), len(content))

    with pytest.raises(VersionRefused, match=r"^'model\.skops' is not the file that its manifest describes"):
        TRUST.check(*downloaded(stack, published.name, tmp_path / "after"))


def test_files_that_came_later_are_trusted_once_the_manifest_is_written_again(
    published: ModelVersion, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "model.onnx").write_bytes(b"graph")
    tracking.add_files(published, tmp_path / "more")
    with pytest.raises(VersionRefused, match=r"^'model\.onnx' is not in its manifest"):
        TRUST.check(*downloaded(stack, published.name, tmp_path / "before"))

    manifest.publish(Registry(MlflowClient(), published.name), published, KEY)

    assert TRUST.check(*downloaded(stack, published.name, tmp_path / "after")) == "signed"


def test_serving_reads_every_type_that_pipelines_writes() -> None:
    assert set(tracking.trusted_types()) <= skops_types.allowed()


def test_every_candidate_of_pipelines_is_admitted_with_nothing_set(trained: Workspace, tmp_path: Path) -> None:
    """By its own files: a twin comes later, and only where one is equal."""
    runs = json.loads((trained.folder / "models/runs.json").read_text())["candidates"]
    assert len(runs) == 4

    for run in runs:
        folder = tmp_path / run["name"]
        mlflow.artifacts.download_artifacts(run["model_uri"], dst_path=str(folder))
        about = mlmodel.read(folder)
        decision.check(folder, about.flavors, Rules())


def test_without_a_key_what_pipelines_writes_is_a_digest(published: ModelVersion, stack: Stack, tmp_path: Path) -> None:
    manifest.publish(Registry(MlflowClient(), published.name), published, None)
    folder, version = downloaded(stack, published.name, tmp_path / "files")

    assert Trust("digest", (KEY.public_key().public_bytes_raw(),)).check(folder, version) == "digest"
    with pytest.raises(VersionRefused, match="it is not signed"):
        TRUST.check(folder, version)


def bucket(stack: Stack) -> Minio:
    return Minio(
        stack.s3_url.removeprefix("http://"),
        access_key=stack.env["AWS_ACCESS_KEY_ID"],
        secret_key=stack.env["AWS_SECRET_ACCESS_KEY"],
        region=stack.env["AWS_DEFAULT_REGION"],
        secure=False,
    )


def model_id(version: ModelVersion) -> str:
    return str(version.source).removeprefix("models:/")


def a_version_of(registry: Registry, stack: Stack) -> ModelVersion:
    """One more, of a model that is logged for it."""
    mlflow.set_tracking_uri(stack.tracking_uri)
    rows = pd.DataFrame({"x": [1.0, 2.0]})
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            LinearRegression().fit(rows, [1.0, 2.0]),
            name="model",
            signature=infer_signature(rows, [1.0, 2.0]),
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    return registry.create(source=info.model_uri, run_id=run.info.run_id, tags={}, description="")


@pytest.fixture(scope="module")
def two_versions(stack: Stack) -> Registry:
    """A registered model with three versions, none of them Production."""
    registry = Registry(MlflowClient(stack.tracking_uri, stack.tracking_uri), "both-doors")
    first = a_version_of(registry, stack)
    for _ in range(2):
        registry.create(source=str(first.source), run_id=str(first.run_id), tags={}, description="")
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


TAG = '{"version": "2", "mode": "canary", "percent": 10, "since_ms": 1763880000000}'


def test_the_candidates_tag_is_read_and_every_change_of_it_is_seen(two_versions: Registry, stack: Stack) -> None:
    """One poll reads the registered model alone, until that differs."""
    reader = MlflowRegistry(stack.tracking_uri)
    client = MlflowClient(stack.tracking_uri, stack.tracking_uri)
    two_versions.align(two_versions.get("1"))
    assert reader.read("both-doors").trial is None

    client.set_registered_model_tag("both-doors", "slipway.candidate", TAG)
    trial = reader.read("both-doors").trial
    assert trial is not None
    assert (trial.version.number, trial.mode, trial.percent, trial.since_ms) == (2, "canary", 10, 1763880000000)
    assert trial.version.source == two_versions.get("2").source

    client.set_registered_model_tag("both-doors", "slipway.candidate", TAG.replace("10", "25"))
    assert (found := reader.read("both-doors").trial) is not None
    assert found.percent == 25

    client.set_registered_model_tag("both-doors", "slipway.candidate", TAG.replace('"2"', '"9"'))
    view = reader.read("both-doors")
    assert view.trial is None
    assert view.trial_fault == "tag slipway.candidate does not count: the model has no version of that number"

    client.delete_registered_model_tag("both-doors", "slipway.candidate")
    view = reader.read("both-doors")
    assert (view.trial, view.trial_fault) == (None, None)


def change(client: MlflowClient, what: str, version: str) -> None:
    if what == "alias":
        client.set_registered_model_alias("both-doors", "production", version)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage("both-doors", version, "Production", archive_existing_versions=True)
