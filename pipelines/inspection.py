"""Look at versions as the gate needs them: the current Production on given rows, a version on its own example.

`gate.py` judges; this module only fetches what it judges by.
"""

import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import RunData
from mlflow.entities.model_registry import ModelVersion

from pipelines import data, gate, lineage, tracking
from pipelines.data import Rows, Schema
from pipelines.gate import Check, Rival, Verdict
from pipelines.registry import Registry, unless_missing
from pipelines.scores import answers, scores
from pipelines.settings import Evaluate

TEST_TAG = "slipway.test.md5"
"""The md5 of the file of test rows that a run's `test_` metrics were measured on; `evaluate` writes both."""


def inspect(registry: Registry, version: ModelVersion, current: ModelVersion | None, params: Evaluate) -> Verdict:
    """The gate's verdict on moving `version` to where `current` is now."""
    name = f"test_{params.metric}"
    measured = _measured(version)
    value = measured.metrics.get(name)
    if value is None:
        return Verdict(
            checks=[Check(name="floor", passed=False, detail=f"its run has no metric {name}; was it evaluated?")]
        )
    another = None if current is None or current.version == version.version else current
    rival = None if another is None else _rival(another, measured.tags.get(TEST_TAG), params.metric)
    return Verdict(checks=[*gate.judge(value, rival, params).checks, _predicts(registry.model, version.version)])


def rival_on(rows: Rows, schema: Schema, current: ModelVersion, metric: str) -> Rival:
    """The current Production version, measured on these rows. MlflowException when its files cannot be had now."""
    with tempfile.TemporaryDirectory() as folder:
        # Before anything that may fail in the model's own way: a server that is down is no fault of the model.
        uri = f"models:/{current.name}/{current.version}"
        if unless_missing(lambda: mlflow.artifacts.download_artifacts(uri, dst_path=folder)) is None:
            return Rival(version=current.version, value=None, why_not="the registry has lost it")
        try:
            found = scores(schema, rows.target, *answers(tracking.load(Path(folder)), rows.features))
        except Exception as cause:  # noqa: BLE001 - any model may be Production, and fail in its own way on this data
            return Rival(version=current.version, value=None, why_not=f"it fails on this data ({type(cause).__name__})")
    why_not = "" if metric in found else f"it has no {metric}"
    return Rival(version=current.version, value=found.get(metric), why_not=why_not)


def _rival(current: ModelVersion, test_md5: str | None, metric: str) -> Rival:
    """Measured on the test rows `test_md5` where they are in this folder, else what is on record for the same rows.

    The md5 of the test rows decides, not that of the raw data: another seed or share makes other rows of it. A run
    that does not say which rows it was measured on is not compared.
    """
    if test_md5 and data.TEST.exists() and lineage.file_md5(data.TEST) == test_md5:
        schema = data.load_schema()
        return rival_on(Rows.of(pd.read_parquet(data.TEST), schema), schema, current, metric)
    measured = _measured(current)
    if not test_md5 or measured.tags.get(TEST_TAG) != test_md5:
        why_not = "the two are not known to be measured on the same rows, and those rows are not here"
        return Rival(version=current.version, value=None, why_not=why_not)
    value = measured.metrics.get(f"test_{metric}")
    return Rival(version=current.version, value=value, why_not="its run has no such metric" if value is None else "")


def _measured(version: ModelVersion) -> RunData:
    """Metrics and tags of the version's run, for one registered in the MLflow UI has none of its own."""
    run_id = version.run_id
    run = unless_missing(lambda: MlflowClient().get_run(run_id)) if run_id else None
    return RunData() if run is None else run.data


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
