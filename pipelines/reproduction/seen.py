"""Every run and version that saw some data, over all experiments and models, and which of them serves."""

import re

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.entities.model_registry import ModelVersion
from rich.table import Table

from pipelines.errors import UnknownData
from pipelines.progress import moment
from pipelines.registry import Registry
from pipelines.reproduction import recorded

DATA = "slipway.data.md5"
MD5 = re.compile(r"[0-9a-f]{32}")
PAGE = 200
MOST_RUN_IDS = 50
"""In one question to the registry: they travel in an address."""


def by(client: MlflowClient, md5: str) -> Table:
    """A line for every run and version that saw this data; UnknownData when none did."""
    if not MD5.fullmatch(md5):
        raise UnknownData(f"{md5!r} is no md5; the tag slipway.data.md5 of a run has it, and `dvc.lock`")
    runs = _runs(client, md5)
    versions = _versions(client, md5, [run.info.run_id for run in runs])
    if not runs and not versions:
        raise UnknownData(f"no run and no version in this MLflow has seen data {md5}")
    serving = _serving(client, {version.name for version in versions})
    table = Table(title=f"data {md5}", title_justify="left")
    for column in ("experiment", "run", "what", "started", "commit", "version", ""):
        table.add_column(column, overflow="fold", no_wrap=column in ("run", "version"))
    names = {found.experiment_id: found.name for found in _experiments(client)}
    for run in sorted(runs, key=lambda run: run.info.start_time or 0):
        mine = [version for version in versions if version.run_id == run.info.run_id]
        table.add_row(*_cells(run, names.get(run.info.experiment_id, run.info.experiment_id)), *_of(mine, serving))
    known = {run.info.run_id for run in runs}
    for version in (version for version in versions if version.run_id not in known):
        table.add_row("-", str(version.run_id or "-"), "-", "-", "-", *_of([version], serving))
    return table


def _cells(run: Run, experiment: str) -> list[str]:
    tags, info = run.data.tags, run.info
    commit = tags.get("slipway.git.commit", "unknown")[:12] + ("+" if tags.get("slipway.git.dirty") == "true" else "")
    what = tags.get(recorded.CANDIDATE, info.run_name or "-")
    gone = ", deleted" if info.lifecycle_stage != "active" else ""
    return [experiment, info.run_id, what + gone, moment(info.start_time), commit]


def _of(versions: list[ModelVersion], serving: dict[str, str]) -> tuple[str, str]:
    named = ", ".join(f"{version.name} {version.version}" for version in versions)
    serves = any(serving.get(version.name) == version.version for version in versions)
    return named or "-", "serves: Production" if serves else ""


def _runs(client: MlflowClient, md5: str) -> list[Run]:
    """Deleted ones too: they saw it."""
    experiments = [found.experiment_id for found in _experiments(client)]
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            experiments, f"tags.`{DATA}` = '{md5}'", ViewType.ALL, max_results=PAGE, page_token=token
        )
        found += page
        token = page.token
        if not token:
            return found


def _experiments(client: MlflowClient) -> list[Experiment]:
    found: list[Experiment] = []
    token: str | None = None
    while True:
        page = client.search_experiments(ViewType.ALL, max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _versions(client: MlflowClient, md5: str, run_ids: list[str]) -> list[ModelVersion]:
    """Those that say so themselves, and those of a run that does: one registered in the MLflow UI has no tags."""
    parts = [run_ids[first : first + MOST_RUN_IDS] for first in range(0, len(run_ids), MOST_RUN_IDS)]
    questions = [f"tags.`{DATA}` = '{md5}'"]
    questions += [f"run_id IN ({', '.join(repr(run_id) for run_id in part)})" for part in parts]
    found: dict[tuple[str, str], ModelVersion] = {}
    for question in questions:
        token: str | None = None
        while True:
            page = client.search_model_versions(question, max_results=PAGE, page_token=token)
            found |= {(version.name, version.version): version for version in page}
            token = page.token
            if not token:
                break
    return sorted(found.values(), key=lambda version: (version.name, int(version.version)))


def _serving(client: MlflowClient, models: set[str]) -> dict[str, str]:
    current = {model: Registry(client, model).production() for model in models}
    return {model: version.version for model, version in current.items() if version is not None}
