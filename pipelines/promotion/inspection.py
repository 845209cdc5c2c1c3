"""Look at versions as the gate needs them: figures, lineage and signatures of a version and of the current Production.

`gate.py` judges; this module only fetches what it judges by. What needs the version's files is in `rehearsal.py`.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mlflow import MlflowClient
from mlflow.entities import FileInfo, RunData
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature

from pipelines import data, gate, lineage, tracking
from pipelines.data import Rows, Schema
from pipelines.gate import Check, Rival, Verdict
from pipelines.promotion import compatibility, pushed
from pipelines.promotion.rehearsal import NEEDING_FILES, not_tried, rehearse
from pipelines.registry import unless_missing
from pipelines.scores import answers, scores
from pipelines.settings import CheckName, Evaluate, Promote

PATCH = "lineage/uncommitted.patch"
TEST_TAG = "slipway.test.md5"
"""The md5 of the file of test rows that a run's `test_` metrics were measured on; `evaluate` writes both."""


@dataclass(frozen=True)
class Terms:
    """What a version has to fulfil."""

    evaluate: Evaluate
    promote: Promote
    key: Ed25519PrivateKey | None = None
    """The one that signs here; without it signatures are not checked."""
    allow_signature_change: bool = False


def inspect(version: ModelVersion, current: ModelVersion | None, terms: Terms) -> Verdict:
    """The gate's verdict on moving `version` to where `current` is now; every check is made, required or not."""
    measured = _measured(version)
    another = None if current is None or current.version == version.version else current
    tags = measured.tags | version.tags
    url = tags.get("slipway.data.url", "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "version"
        lost = _fetch(version, folder)
        checks = [
            *_figures(measured, another, terms.evaluate),
            _signature(folder, another, allowed=terms.allow_signature_change),
            gate.lineage(tags, patch_kept=_patch_kept(version, tags)),
            gate.pushed(url, pushed.missing(url) if url else None),
            *(
                not_tried(lost, ("manifest", *NEEDING_FILES))
                if lost
                else rehearse(folder, version, terms.key, latency_ms=terms.promote.latency_ms)
            ),
        ]
    return gate.requiring(checks, terms.promote.require)


def _fetch(version: ModelVersion, folder: Path) -> str:
    """Why its files cannot be had; empty when they are in `folder`. MlflowException when the server is down."""
    try:
        tracking.fetch(f"models:/{version.name}/{version.version}", folder)
    except MlflowException as refused:
        if refused.error_code not in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
            raise
        return "the registry has lost its files"
    except Exception as cause:  # noqa: BLE001 - the files' own server fails in its own way
        return f"its files cannot be had ({type(cause).__name__})"
    return "" if (folder / "MLmodel").is_file() else "the registry has lost its files"


def _figures(measured: RunData, another: ModelVersion | None, params: Evaluate) -> list[Check]:
    name = f"test_{params.metric}"
    value = measured.metrics.get(name)
    if value is None:
        lacking = f"its run has no metric {name}; was it evaluated?"
        return [
            Check(name="floor", passed=False, detail=lacking),
            Check(name="no step back", passed=False, detail="not compared, for it was not measured"),
        ]
    rival = None if another is None else _rival(another, measured.tags.get(TEST_TAG), params.metric)
    return gate.judge(value, rival, params).checks


def _signature(folder: Path, another: ModelVersion | None, *, allowed: bool) -> Check:
    name: CheckName = "signature"
    if another is None:
        return Check(name=name, passed=True, detail="no other version is Production")
    try:
        new = Model.load(str(folder)).signature if (folder / "MLmodel").is_file() else None
    except Exception as cause:  # noqa: BLE001 - a file that anybody may have written
        return Check(name=name, passed=False, detail=f"an MLmodel file cannot be read ({type(cause).__name__})")
    former, why_not = _signature_of(another)
    if former is None:
        return Check(name=name, passed=True, detail=f"cannot be compared with version {another.version}'s: {why_not}")
    found = ["it has no signature"] if new is None else compatibility.breaks(former, new)
    return gate.signature(found, another.version, allowed=allowed)


def _signature_of(version: ModelVersion) -> tuple[ModelSignature | None, str]:
    """Or why there is none. A Production whose files are lost or broken keeps nobody from promoting another."""
    try:
        found = unless_missing(lambda: Model.load(f"models:/{version.name}/{version.version}"))
    except Exception as cause:  # noqa: BLE001 - a file that anybody may have written, from a server of its own
        return None, f"its MLmodel file cannot be read ({type(cause).__name__})"
    if found is None:
        return None, "the registry has lost it"
    return found.signature, "it has none"


def _patch_kept(version: ModelVersion, tags: dict[str, str]) -> bool:
    """The uncommitted change lies with the training's parent run; a run of one's own may have it too."""
    if tags.get("slipway.git.dirty") != "true" or tags.get("slipway.git.patch") != "attached":
        return False
    runs = [run for run in (tags.get("mlflow.parentRunId"), version.run_id) if run]
    return any(file.path == PATCH for run in runs for file in _listed(run))


def _listed(run_id: str) -> list[FileInfo]:
    return unless_missing(lambda: MlflowClient().list_artifacts(run_id, "lineage")) or []


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
