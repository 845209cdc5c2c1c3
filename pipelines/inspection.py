"""Look at versions as the gate needs them: the current Production on given rows, a version on its own example.

`gate.py` judges; this module only fetches what it judges by.
"""

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipelines import data, gate, lineage
from pipelines.data import Rows, Schema
from pipelines.gate import Check, Rival, Verdict
from pipelines.registry import Registry
from pipelines.scores import answers, scores
from pipelines.settings import Evaluate

DATA_TAG = "slipway.data.md5"


def inspect(registry: Registry, version: ModelVersion, current: ModelVersion | None, params: Evaluate) -> Verdict:
    """The gate's verdict on moving `version` to where `current` is now."""
    name = f"test_{params.metric}"
    value = MlflowClient().get_run(version.run_id).data.metrics.get(name) if version.run_id else None
    if value is None:
        return Verdict(
            checks=[Check(name="floor", passed=False, detail=f"its run has no metric {name}; was it evaluated?")]
        )
    rival = None if current is None or current.version == version.version else _rival(version, current, params)
    return Verdict(checks=[*gate.judge(value, rival, params).checks, _predicts(registry.model, version.version)])


def rival_on(rows: Rows, schema: Schema, current: ModelVersion, metric: str) -> Rival:
    """The current Production version, measured on these rows."""
    try:
        model = mlflow.sklearn.load_model(f"models:/{current.name}/{current.version}")
        found = scores(schema, rows.target, *answers(model, rows.features))
    except Exception as cause:  # noqa: BLE001 - any model may be Production, and fail in its own way on this data
        return Rival(version=current.version, value=None, why_not=f"it fails on this data ({type(cause).__name__})")
    why_not = "" if metric in found else f"it has no {metric}"
    return Rival(version=current.version, value=found.get(metric), why_not=why_not)


def _rival(version: ModelVersion, current: ModelVersion, params: Evaluate) -> Rival:
    """On the test rows in this folder where they are the version's own; else by what both runs have on record."""
    md5 = _data_md5(version)
    if md5 and data.RAW.exists() and data.TEST.exists() and lineage.file_md5(data.RAW) == md5:
        schema = data.load_schema()
        return rival_on(Rows.of(pd.read_parquet(data.TEST), schema), schema, current, params.metric)
    if md5 != _data_md5(current) or not current.run_id:
        why_not = "it was measured on other data, and these rows are not here"
        return Rival(version=current.version, value=None, why_not=why_not)
    value = MlflowClient().get_run(current.run_id).data.metrics.get(f"test_{params.metric}")
    return Rival(version=current.version, value=value, why_not="its run has no such metric" if value is None else "")


def _data_md5(version: ModelVersion) -> str | None:
    """Of the raw data; a version that was registered in the MLflow UI has no tags of its own, but its run has."""
    if DATA_TAG in version.tags or not version.run_id:
        return version.tags.get(DATA_TAG)
    return MlflowClient().get_run(version.run_id).data.tags.get(DATA_TAG)


def _predicts(model: str, version: str) -> Check:
    """Does it load as serving will load it, and answer its own example?"""
    name = "answers its example"
    try:
        loaded = mlflow.pyfunc.load_model(f"models:/{model}/{version}")
        if loaded.input_example is None:
            return Check(name=name, passed=True, detail="it loads; it has no example to try")
        answer = loaded.predict(loaded.input_example)
    except Exception as cause:  # noqa: BLE001 - whatever it fails with, it is not fit to be served
        return Check(name=name, passed=False, detail=f"{type(cause).__name__}: {str(cause).splitlines()[0][:200]}")
    return Check(name=name, passed=True, detail=f"{len(answer)} rows")
