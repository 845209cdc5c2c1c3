"""Where a version came from, and who saw some data: what is on record, and what of it can still be had."""

import hashlib
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.registry import Registry
from tests.pipelines.registered import to_production
from tests.servers import Stack
from tests.workspace import Workspace

MD5 = hashlib.md5(b"lineage", usedforsecurity=False).hexdigest()

pytestmark = pytest.mark.slow


@pytest.fixture
def raw_md5(trained: Workspace) -> str:
    content = (trained.folder / "data/raw/data.parquet").read_bytes()
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_version_is_followed_to_its_run_commit_data_and_environment(
    trained: Workspace, stack: Stack, raw_md5: str
) -> None:
    said = trained.run("pipelines.lineage", "1")

    version, run, commit, data, environment = (
        said.index(word) for word in ("version  trained-once 1", "run  ", "commit  ", "data  ", "environment  ")
    )
    assert version < run < commit < data < environment
    run_id = json.loads((trained.folder / "reports/version.json").read_text())["run_id"]
    assert f"{stack.tracking_uri}/#/models/trained-once/versions/1" in said
    assert run_id in said
    assert f"/runs/{run_id}" in said
    assert f"commit  {trained.git('rev-parse', 'HEAD')}, in this clone" in said
    assert f"data  {raw_md5}, from sklearn:breast_cancer" in said
    assert f"s3://dvc/files/md5/{raw_md5[:2]}/{raw_md5[2:]}" in said
    assert "on the remote; in this checkout's cache" in said
    lock = hashlib.sha256((trained.folder / "requirements/pipelines.txt").read_bytes()).hexdigest()
    assert f"requirements/pipelines.txt, sha256 {lock}" in said
    assert "this environment has all that it pins" in said


def test_a_run_can_be_followed_too(trained: Workspace, raw_md5: str) -> None:
    run_id = json.loads((trained.folder / "models/runs.json").read_text())["parent_run_id"]

    said = trained.run("pipelines.lineage", run_id)

    assert f"run  {run_id}" in said
    assert f"data  {raw_md5}" in said


def test_links_that_lead_nowhere_are_told_as_such(
    trained: Workspace, registry: Registry, client: MlflowClient, tmp_path: Path
) -> None:
    tags = {"slipway.git.commit": "1" * 40, "slipway.data.md5": MD5, "slipway.lock.sha256": "2" * 64}
    registry.tag("1", tags)

    said = trained.run("pipelines.lineage", "1", "--model", registry.model)

    assert f"commit  {'1' * 40}, not in this clone: `git fetch --all`" in said
    assert "not on the remote: `dvc push` where it was made; not in this checkout's cache" in said
    assert "this clone has no commit with that lock" in said


def test_what_is_not_on_record_is_told_as_such(trained: Workspace, registry: Registry) -> None:
    said = trained.run("pipelines.lineage", "2", "--model", registry.model)

    assert said.count("not on record") == 3


def test_who_promoted_a_version_and_when_is_told(trained: Workspace, registry: Registry) -> None:
    to_production(registry, "2", why="for the record")

    said = trained.run("pipelines.lineage", "2", "--model", registry.model)

    assert f"version  {registry.model} 2, which is Production" in said
    assert ": for the record" in said


def test_data_names_every_run_and_version_that_saw_it_and_which_serves(
    trained: Workspace, registry: Registry, client: MlflowClient
) -> None:
    versions = {version.version: version for version in registry.versions()}
    for number in ("1", "2"):  # their runs say so, the versions themselves do not
        client.set_tag(str(versions[number].run_id), "slipway.data.md5", MD5)
    registry.tag("3", {"slipway.data.md5": MD5})
    client.delete_run(str(versions["1"].run_id))
    to_production(registry, "2")

    said = trained.run("pipelines.lineage", "--data", MD5.upper())

    lines = {number: line for line in said.splitlines() for number in "1234" if f"{registry.model} {number} " in line}
    assert set(lines) == {"1", "2", "3"}
    assert str(versions["1"].run_id) in lines["1"]
    assert ", deleted" in lines["1"]
    assert [number for number, line in lines.items() if "serves: Production" in line] == ["2"]


def test_more_runs_than_one_page_are_all_found(
    trained: Workspace, client: MlflowClient, unique_name: str, stack: Stack
) -> None:
    md5 = hashlib.md5(unique_name.encode(), usedforsecurity=False).hexdigest()
    experiment = client.create_experiment(unique_name)
    made = {client.create_run(experiment, tags={"slipway.data.md5": md5}).info.run_id for _ in range(205)}

    said = trained.run("pipelines.lineage", "--data", md5)

    assert all(run_id in said for run_id in made)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", "0" * 32], "no run and no version in this MLflow has seen data 0000"),
        (["--data", "data.parquet"], "'data.parquet' is no md5"),
        (["99"], "trained-once has no version 99 in the registry"),
        (["f" * 32], "MLflow has no run of that id"),
    ],
)
def test_what_nobody_knows_is_refused_in_one_line(trained: Workspace, words: list[str], says: str) -> None:
    said = trained.run("pipelines.lineage", *words, fails=True)

    assert said.strip().splitlines()[-1].startswith("pipelines.lineage: ")
    assert says in said
    assert "Traceback" not in said
