"""Somebody who makes versions by hand, right ones and wrong ones, and promotes them by MLflow's own client."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression

from tests.load.record import Question
from tests.serving.twins import a_twin

COLUMNS = ("x", "size")
TABLE = pd.DataFrame({"x": [1.0, 2.0, 3.0], "size": [0.5, 0.25, 0.125]})


class Publisher:
    """Of the registered model `name`, which is made here."""

    def __init__(self, tracking_uri: str, name: str) -> None:
        self.name, self.client = name, MlflowClient(tracking_uri, tracking_uri)
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def publish(self, folder: Path, tags: Mapping[str, str] | None = None) -> int:
        """A version with the files in `folder`, as they are now."""
        run = self.client.create_run("0").info
        self.client.log_artifacts(run.run_id, str(folder), "model")
        source = f"{run.artifact_uri}/model"
        return int(self.client.create_model_version(self.name, source, run.run_id, tags=dict(tags or {})).version)

    def overwrite(self, number: int, file: Path) -> None:
        """Put other bytes where the version has a file of this name, as whoever can write to the bucket could."""
        self.client.log_artifact(self.client.get_model_version(self.name, str(number)).run_id, str(file), "model")

    def promote(self, number: int) -> None:
        """As `pipelines.promote` does: the stage, and at once the alias."""
        with quiet():
            self.client.transition_model_version_stage(
                self.name, str(number), "Production", archive_existing_versions=True
            )
        self.client.set_registered_model_alias(self.name, "production", str(number))


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow warns that stages are deprecated and that it infers types; neither is about our code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def with_twin(folder: Path, factor: float) -> Path:
    """A version that answers factor * x, by ONNX Runtime in the worker."""
    return a_twin(folder, factor=factor)


def without_twin(folder: Path, factor: float) -> Path:
    """The same by scikit-learn, in a host."""
    fitted = LinearRegression(fit_intercept=False).fit(TABLE, factor * TABLE["x"])
    with quiet():
        mlflow.sklearn.save_model(
            fitted,
            folder,
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
            input_example=TABLE.head(1),
        )
    return folder


def questions(factors: dict[int, float]) -> list[Question]:
    """One row in each; `factors`: of the versions that may answer."""
    rows = [(float(x), 1.0) for x in range(1, 51)]
    return [
        Question(COLUMNS, (row,), {number: [factor * row[0]] for number, factor in factors.items()}) for row in rows
    ]
