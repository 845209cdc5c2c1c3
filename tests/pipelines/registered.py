"""A small registry, and what people do to it: promote, or move a version by hand in the MLflow UI."""

import warnings

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from pipelines import promote
from pipelines.registry import Registry
from pipelines.settings import CheckName, Params, load_params
from tests.servers import ROOT

FULL = load_params(ROOT / "params.yaml", changes=["promote.latency_ms=1000000"])
"""Every check is required; how quick the machine is says nothing here."""


def requiring(*names: CheckName) -> Params:
    return FULL.model_copy(update={"promote": FULL.promote.model_copy(update={"require": list(names)})})


PARAMS = requiring("floor", "no step back", "signature", "answers its example")
"""For versions that no pipeline has made."""
VALUES = (0.95, 0.96, 0.97, 0.5)


def a_registry(client: MlflowClient, name: str) -> Registry:
    """Four versions whose runs have these `VALUES` as test_f1_macro, measured on the same rows."""
    mlflow.set_experiment(name)
    rows = pd.DataFrame({"age": [0.0, 1.0]})
    model = LogisticRegression().fit(rows, [0, 1])
    registry = Registry(client, name)
    for value in VALUES:
        with mlflow.start_run() as run:
            mlflow.log_metric("test_f1_macro", value)
            mlflow.set_tag("slipway.test.md5", "same")
            info = mlflow.sklearn.log_model(
                model,
                name="m",
                signature=infer_signature(rows, [0, 1]),
                serialization_format="skops",
                pip_requirements=["scikit-learn"],
            )
        registry.create(source=info.model_uri, run_id=run.info.run_id, tags={}, description="made by a test")
    return registry


def copy_of(client: MlflowClient, model: str, name: str, **tags: str) -> Registry:
    """Version 1 of `model` as version 1 of `name` too: the same files and run; a tag set to nothing is left out."""
    first = client.get_model_version(model, "1")
    changed = {f"slipway.{tag.replace('_', '.')}": value for tag, value in tags.items()}
    registry = Registry(client, name)
    kept = {tag: value for tag, value in (first.tags | changed).items() if value}
    registry.create(source=str(first.source), run_id=str(first.run_id), tags=kept, description="made by a test")
    return registry


def state(client: MlflowClient, name: str) -> object:
    """Everything the registry says of a model, and the artifacts of its versions' runs."""
    registered = client.get_registered_model(name)
    versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda version: version.version)
    reports = [[file.path for file in client.list_artifacts(str(each.run_id), "promotion")] for each in versions]
    return str(dict(registered)), [str(dict(version)) for version in versions], reports


def to_production(registry: Registry, version: str, params: Params = PARAMS, why: str = "") -> None:
    promote.promote(registry, registry.get(version), params, why=why)


def staged(registry: Registry, client: MlflowClient) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return [version.version for version in registry.versions() if version.current_stage == "Production"]


def move_stage(client: MlflowClient, model: str, version: str) -> None:
    """As a person does in the MLflow UI."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(model, version, "Production", archive_existing_versions=True)


def withdraw(client: MlflowClient, model: str, version: str) -> None:
    """So that the model has no Production, whatever was promoted before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(model, version, "None")
    client.delete_registered_model_alias(model, "production")
