"""A version's ONNX twin: made for what is equal, refused for what is not, and kept beside the model."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import infer_signature
from onnx import numpy_helper
from sklearn.linear_model import LogisticRegression

from pipelines import data, tracking, twin
from pipelines.data import Rows, Schema
from pipelines.export import originals
from pipelines.export.graphs import Exported
from pipelines.export.originals import Original
from pipelines.registry import Registry
from pipelines.training import candidates
from pipelines.training.candidates import Job
from tests.pipelines.training.test_candidates import SMALL, a_task
from tests.workspace import Workspace

# MLflow's own, about how it writes an input example.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")
TORCH = ["torch"]


def a_candidate(task: str, name: str) -> tuple[Any, Schema, pd.DataFrame]:
    """Fitted on one half of the task's rows, and the features of the other."""
    schema, frame = a_task(task)
    parts = data.split(frame, share=0.5, seed=1, by_class="target" if schema.classes else None)
    training, held_out = (Rows.of(part, schema) for part in parts)
    job = Job(schema, training, held_out, 1, lambda _: None)
    return candidates.fit(name, candidates.chosen(SMALL)[name], job).model, schema, held_out.features


def registered(client: MlflowClient, name: str, log: Callable[[], str]) -> tuple[Registry, ModelVersion]:
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        uri = log()
    registry = Registry(client, name)
    return registry, registry.create(source=uri, run_id=run.info.run_id, tags={}, description="made by a test")


def files_of(version: ModelVersion, folder: Path) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}", dst_path=str(folder)))


def session(folder: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def fed(card: dict[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    """As serving does by twin.json: columns side by side, gaps among texts by their name."""
    made = {}
    for each in card["inputs"]:
        table = rows[each["columns"]]
        text = each["dtype"] == "string"
        made[each["name"]] = table.where(table.notna(), each["missing"]).to_numpy(object) if text else table.to_numpy()
    return made


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("breast_cancer", "linear"),
        ("breast_cancer", "forest"),
        ("breast_cancer", "boosting"),
        ("breast_cancer", "network"),
        ("wine", "forest"),
        ("people", "linear"),
        ("people", "forest"),
        ("people", "network"),
        ("diabetes", "linear"),
        ("diabetes", "forest"),
        ("diabetes", "boosting"),
    ],
)
def test_every_candidate_has_a_twin_that_answers_alike(
    client: MlflowClient, unique_name: str, tmp_path: Path, task: str, name: str
) -> None:
    model, schema, rows = a_candidate(task, name)
    registry, version = registered(client, unique_name, lambda: tracking.log_model(name, model, schema, rows))

    said = twin.publish(registry, version, rows)

    assert said.startswith("published, largest difference ")
    assert said.endswith(f" on {len(rows)} rows")
    assert registry.get(version.version).tags["slipway.twin"] == said
    folder = files_of(version, tmp_path)
    assert {"MLmodel", "model.onnx", "twin.json"} <= {file.name for file in folder.iterdir()}
    card = json.loads((folder / "twin.json").read_text())
    assert card["sha256"] == hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert card["parity"]["largest_relative"] <= card["parity"]["tolerance"] == 1e-5
    assert card["parity"]["probes"] > 500
    answers = session(folder).run([card["outputs"]["predict"]], fed(card, rows))[0]
    wanted = model.predict(rows)
    if schema.classes is None:
        np.testing.assert_allclose(answers, wanted, rtol=1e-9)
    else:
        assert answers.tolist() == wanted.tolist()
        found = session(folder).run([card["outputs"]["predict_proba"]], fed(card, rows))[0]
        np.testing.assert_allclose(found, model.predict_proba(rows), rtol=1e-5, atol=1e-14)


def tampered(original: Original, rows: Any, numbers: str) -> Exported:
    """The right graph, but for a thousandth of one number in it."""
    exported = originals.export(original, rows, numbers)
    for constant in exported.graph.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype.kind == "f" and values.ndim == 2:
            constant.CopyFrom(numpy_helper.from_array(values * 1.001, constant.name))
    return replace(exported)


def test_a_twin_that_differs_is_not_kept_and_the_tag_says_why(
    client: MlflowClient, unique_name: str, tmp_path: Path
) -> None:
    model, schema, rows = a_candidate("breast_cancer", "linear")
    registry, version = registered(client, unique_name, lambda: tracking.log_model("linear", model, schema, rows))

    said = twin.publish(registry, version, rows, convert=tampered)

    assert said.startswith("none: float64: it differs by ")
    assert registry.get(version.version).tags["slipway.twin"] == said
    assert not (files_of(version, tmp_path) / "twin.json").exists()


def test_numbers_that_the_model_refuses_are_named(client: MlflowClient, unique_name: str, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)

    def log() -> str:
        info = mlflow.sklearn.log_model(
            model, name="m", signature=infer_signature(rows, model.predict(rows)), input_example=rows,
            serialization_format="skops", pip_requirements=["scikit-learn"],
        )  # fmt: skip
        return str(info.model_uri)

    registry, version = registered(client, unique_name, log)

    assert twin.publish(registry, version, None).endswith(" on 60 rows")

    folder = files_of(version, tmp_path)
    card = json.loads((folder / "twin.json").read_text())
    assert card["inputs"] == [{"tensor": None, "name": "numbers", "dtype": "float64", "takes": []}]
    assert session(folder).run(None, {"numbers": rows})[0].dtype == bool


def log_network(rows: Any, *, serialization_format: str) -> str:
    """`rows` as an array or a table, which makes the signature a tensor or columns."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    outputs = network(torch.tensor(np.array(rows))).detach().numpy()
    info = mlflow.pytorch.log_model(
        network,
        name="net",
        signature=infer_signature(rows, outputs),
        input_example=rows,
        serialization_format=serialization_format,
        pip_requirements=TORCH,
    )
    return str(info.model_uri)


def test_the_command_makes_one_for_a_pytorch_version_that_was_logged_elsewhere(
    client: MlflowClient, unique_name: str, tmp_path: Path, trained: Workspace
) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    _, version = registered(client, unique_name, lambda: log_network(rows, serialization_format="pt2"))
    np.save(tmp_path / "rows.npy", rows)

    said = trained.run("pipelines.twin", unique_name, version.version, "--rows", str(tmp_path / "rows.npy"))

    assert "published, largest difference " in said
    assert " on 40 rows" in said
    assert "files, signed" in said
    folder = files_of(version, tmp_path / "files")
    found = session(folder).run(None, {"numbers": rows})[0]
    assert {"model.onnx", "twin.json"} <= set(json.loads((folder / "slipway-manifest.json").read_text())["files"])
    network = mlflow.pytorch.load_model(f"models:/{unique_name}/{version.version}")
    np.testing.assert_allclose(found, network(torch.from_numpy(rows)).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_registering_publishes_the_twin_and_says_so(trained: Workspace, client: MlflowClient, tmp_path: Path) -> None:
    version = client.search_model_versions("name = 'trained-once'")[0]

    assert version.tags["slipway.twin"].startswith("published, largest difference ")
    card = json.loads((files_of(version, tmp_path) / "twin.json").read_text())
    assert card["parity"]["rows"] == len(pd.read_parquet(trained.folder / "data/processed/test.parquet"))
    assert card["parity"]["data_md5"] == version.tags["slipway.data.md5"]


def test_a_model_that_gets_none_is_told_why_in_one_line(client: MlflowClient, unique_name: str) -> None:
    table = pd.DataFrame(np.ones((3, 4), np.float32), columns=list("abcd"))
    registry, version = registered(client, unique_name, lambda: log_network(table, serialization_format="pickle"))

    said = twin.publish(registry, version, table)

    assert said == "none: the signature of a PyTorch model has columns, not a tensor"
