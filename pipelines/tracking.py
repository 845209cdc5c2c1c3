"""Write runs and models to MLflow. The one place that says how a candidate is logged; knows no stage.

Models go to the tracking server, which keeps the files on S3; what is kept here comes back from there, so that what
`evaluate` measures is what will be served.
"""

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import ColSpec, TensorSpec
from mlflow.types import Schema as Columns
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sklearn.pipeline import Pipeline

from pipelines.data import RAW, Schema
from pipelines.inputs import FILE as INPUTS
from pipelines.inputs import Inputs
from pipelines.lineage import Lineage
from pipelines.records import Registered, Runs
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.training.network import Epoch  # only the name: the module takes two seconds of PyTorch to import

TRUSTED = Path(__file__).parent / "trusted_types.txt"
REQUIRED = ("mlflow", "scikit-learn", "skops", "numpy", "scipy", "pandas")
"""Pinned in every model; inferring them would import what serving does not have."""
EXAMPLE_ROWS = 3
ANSWER_SECONDS = 10.0
QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own default goes on for minutes while the server is down
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's own chatter; the stages say what matters, once."""


def connect(settings: Settings) -> None:
    """Point MLflow at the server and the experiment; inside `mlflow run` that is already chosen."""
    reach(settings)
    if "MLFLOW_RUN_ID" in os.environ:
        os.environ.pop("MLFLOW_EXPERIMENT_NAME", None)  # MLflow refuses a name beside the id that it has set itself
    else:
        mlflow.set_experiment(settings.mlflow_experiment_name)


def reach(settings: Settings) -> None:
    """Point MLflow at the server, for those who only look: choosing an experiment would make it."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer", category=UserWarning)
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    if settings.mlflow_tracking_username and settings.mlflow_tracking_password:  # from .env, perhaps
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", settings.mlflow_tracking_username)
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", settings.mlflow_tracking_password.get_secret_value())


def expect_answer(uri: str, *, seconds: float = ANSWER_SECONDS) -> None:
    """MlflowException when the server at `uri` does not say a word within `seconds`.

    For commands that somebody waits for: MLflow's own requests have minutes, which they need where files are large.
    """
    if uri.startswith(("http://", "https://")):
        host = get_default_host_creds(uri)  # type: ignore[no-untyped-call] # MLflow has no types here
        http_request(host, "/health", "GET", max_retries=0, timeout=seconds, raise_on_status=False)  # type: ignore[no-untyped-call]


@contextmanager
def run(name: str, tags: dict[str, str], *, nested: bool = False) -> Iterator[Any]:
    """An active run; one that `mlflow run` has made is gone on with."""
    with mlflow.start_run(run_name=name, nested=nested) as active:
        mlflow.set_tags(tags)
        yield active


def log_lineage(lineage: Lineage, inputs: Inputs) -> None:
    """The tags, and as artifacts what the run was made from and git does not hold, and the uncommitted change."""
    mlflow.set_tags(lineage.tags())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / INPUTS).write_text(inputs.model_dump_json(indent=2))
        if lineage.patch:
            (Path(folder) / "uncommitted.patch").write_bytes(lineage.patch)
        mlflow.log_artifacts(folder, "lineage")


def log_dataset(frame: pd.DataFrame, schema: Schema, lineage: Lineage, *, context: str, source: str) -> None:
    """As a dataset of the run; its digest is DVC's md5 of the raw data."""
    dataset = from_pandas(
        frame,
        source=lineage.data_url or str(RAW),
        targets=schema.target,
        name=f"{source} ({context})",
        digest=lineage.data_md5,
    )
    mlflow.log_input(dataset, context=context)


def log_epochs(run_id: str, epochs: "list[Epoch]") -> None:
    """Training and validation loss of every epoch, in few calls."""
    now_ms = int(time.time() * 1000)
    points = [
        Metric(name, value, now_ms, epoch.number)
        for epoch in epochs
        for name, value in (("training_loss", epoch.training_loss), ("validation_loss", epoch.validation_loss))
    ]
    client = MlflowClient()
    for first in range(0, len(points), 1000):  # MLflow takes a thousand at once
        client.log_batch(run_id, metrics=points[first : first + 1000])


def signature(schema: Schema) -> ModelSignature:
    """One column each; a number is a double (null is a missing value), a category a string."""
    columns: list[ColSpec | TensorSpec] = [
        ColSpec("double" if column.kind == "number" else "string", column.name) for column in schema.columns
    ]
    return ModelSignature(inputs=Columns(columns), outputs=Columns([ColSpec(_answer_type(schema))]))


def _answer_type(schema: Schema) -> str:
    if schema.classes is None:
        return "double"
    return "long" if isinstance(schema.classes[0], int) else "string"


def log_model(name: str, model: Pipeline, schema: Schema, features: pd.DataFrame) -> str:
    """Log as skops with the operator's trusted types, never pickle; answers the model's URI."""
    info = mlflow.sklearn.log_model(
        model,
        name=name,
        signature=signature(schema),
        input_example=features.head(EXAMPLE_ROWS),
        serialization_format="skops",
        skops_trusted_types=trusted_types(),
        pip_requirements=[f"{package}=={version(package)}" for package in REQUIRED],
    )
    uri: str = info.model_uri
    return uri


def log_network(name: str, network: Any, model: Pipeline, features: pd.DataFrame) -> None:
    """The PyTorch network itself, for those who want to go on from it: pre-processed rows in, raw outputs out."""
    import torch

    rows = model[:-1].transform(features.head(EXAMPLE_ROWS)).astype(np.float32)
    mlflow.pytorch.log_model(
        network,
        name=name,
        signature=mlflow.models.infer_signature(rows, network(torch.from_numpy(rows)).detach().numpy()),
        input_example=rows,
        serialization_format="pt2",
        pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "torch", "numpy")],
    )


def trusted_types() -> list[str]:
    lines = TRUSTED.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def fetch(uri: str, folder: Path) -> None:
    """Download a model's files into `folder`."""
    mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))


def add_files(version: ModelVersion, folder: Path) -> None:
    """Everything in `folder` is among the version's files then, over what had the same name."""
    _files(version).log_artifacts(str(folder))  # type: ignore[no-untyped-call]  # MLflow does not say


def remove_file(version: ModelVersion, name: str) -> None:
    _files(version).delete_artifacts(name)  # type: ignore[no-untyped-call]


def _files(version: ModelVersion) -> ArtifactRepository:
    return get_artifact_repository(MlflowClient().get_model_version_download_uri(version.name, version.version))


def have_runs(runs: Runs) -> bool:
    """Does MLflow still have every run, and the files of every model?"""
    try:
        run_ids = [runs.parent_run_id, *(trained.run_id for trained in runs.candidates)]
        if any(mlflow.get_run(run_id).info.lifecycle_stage != "active" for run_id in run_ids):
            return False
        for trained in runs.candidates:
            if not mlflow.artifacts.list_artifacts(artifact_uri=trained.model_uri):
                return False
    except MlflowException as missing:
        if missing.error_code not in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
            raise
        return False
    return True


def has_version(registered: Registered) -> bool:
    """Does the registry still have the version that this run became?"""
    try:
        return MlflowClient().get_model_version(registered.model, registered.version).run_id == registered.run_id
    except MlflowException as missing:
        if missing.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def load(folder: Path) -> Pipeline:
    model: Pipeline = mlflow.sklearn.load_model(str(folder))
    return model
