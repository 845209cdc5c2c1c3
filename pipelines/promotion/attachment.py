"""Attach a promotion report to its version: where the MLflow UI shows it, and outside of the version's own files.

Serving refuses a version with a file that its manifest does not have. So the whole report, markdown and JSON, is an
artifact of the version's run; the version's description has its table, and its tags the outcome and the address.
"""

from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipelines.errors import NoReport
from pipelines.promotion import report
from pipelines.promotion.report import Report
from pipelines.registry import Registry, unless_missing

FOLDER = "promotion"
GATE_TAG = "slipway.gate"
REPORT_TAG = "slipway.report"


def attach(registry: Registry, version: ModelVersion, found: Report) -> None:
    """NoReport where the files' server does not take it; a version without a run keeps what a description holds."""
    address, link = _with_run(version, found)
    text = report.described(version.description or "", found, where=link)
    registry.describe(version, text)
    registry.tag(version.version, {GATE_TAG: found.outcome} | ({REPORT_TAG: address} if address else {}))


def _with_run(version: ModelVersion, found: Report) -> tuple[str, str]:
    """Its address in MLflow, and a link for the UI; both empty where the version has no run any more."""
    client, run_id = MlflowClient(), version.run_id
    run = unless_missing(lambda: client.get_run(run_id)) if run_id else None
    if run is None:
        return "", ""
    moment = datetime.fromtimestamp(found.at_ms / 1000, UTC)
    name = f"{FOLDER}/version-{version.version}-{moment:%Y%m%dT%H%M%S}.{found.at_ms % 1000:03d}Z"
    try:
        client.log_text(run.info.run_id, report.markdown(found), f"{name}.md")
        client.log_text(run.info.run_id, found.model_dump_json(indent=2), f"{name}.json")
    except Exception as cause:  # whatever keeps MLflow's files fails in its own way
        raise NoReport(
            f"the report of version {version.version} cannot be kept with its run ({type(cause).__name__}), so nothing "
            "was changed; is MLflow's S3 up? `make status`"
        ) from cause
    link = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/{name}.md"
    return f"runs:/{run.info.run_id}/{name}.md", f"[The whole report]({link})."
