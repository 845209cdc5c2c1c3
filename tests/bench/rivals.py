"""Two versions of one model that differ in every answer, registered by plain MLflow and given their twins."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.tracking import trusted_types
from tests import workspace
from tests.e2e.publisher import Publisher, quiet
from tests.load.record import Question
from tests.servers import Stack

ASKED_ROWS = 64


def linear() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def forest() -> Pipeline:
    return make_pipeline(RandomForestClassifier(100, random_state=7, n_jobs=1))


MODELS: dict[str, Callable[[], Pipeline]] = {"linear": linear, "forest": forest}


@dataclass(frozen=True)
class Rivals:
    """Versions 1 and 2 of the publisher's model, and what they answer."""

    publisher: Publisher
    questions: list[Question]


def make(stack: Stack, folder: Path, model: str) -> Rivals:
    """Version 1 has the classes 0 and 1, version 2 has 2 and 3: of the same rows, and as sure."""
    table, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    mlflow.set_tracking_uri(stack.tracking_uri)
    publisher = Publisher(stack.tracking_uri, f"rival-{model}")
    made = workspace.make(folder, stack.env, model=publisher.name)
    table.to_parquet(folder / "rows.parquet")
    asked, answers = table.head(ASKED_ROWS), dict[int, list[int]]()
    for number in (1, 2):
        fitted = MODELS[model]().fit(table, labels + 2 * (number - 1))
        _register(fitted, table, publisher.name)
        made.run("pipelines.twin", publisher.name, str(number), "--rows", str(folder / "rows.parquet"))
        answers[number] = fitted.predict(asked).tolist()
    publisher.promote(1)
    columns = tuple(str(name) for name in table)
    rows = [tuple(map(float, row)) for row in asked.to_numpy()]
    each = [{number: [found[at]] for number, found in answers.items()} for at in range(ASKED_ROWS)]
    return Rivals(publisher, [Question(columns, (row,), known) for row, known in zip(rows, each, strict=True)])


def _register(fitted: Pipeline, table: pd.DataFrame, name: str) -> None:
    with quiet(), mlflow.start_run():
        mlflow.sklearn.log_model(
            fitted,
            name="model",
            serialization_format="skops",
            skops_trusted_types=trusted_types(),
            pip_requirements=["scikit-learn"],
            input_example=table.head(1),
            registered_model_name=name,
        )
