"""The stages through the tools people use: `mlflow run`, `dvc exp run`; and refusals in one line."""

import shutil
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests import workspace
from tests.servers import Stack, free_port
from tests.workspace import Workspace

TINY = {**workspace.SMALL, "train.boosting": None, "train.network": None}


@pytest.fixture(scope="module")
def tiny(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two quick candidates; tests change it as they like, and leave params.yaml valid."""
    env = {**stack.env, "MLFLOW_ENV_ROOT": str(Path(sys.prefix) / "envs")}  # as .env.example has it
    made = workspace.make(tmp_path_factory.mktemp("tiny"), env, model="commands", params=TINY)
    made.run("pipelines")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "after the first run")
    return made


def runs_of(client: MlflowClient, experiment: str) -> int:
    found = client.get_experiment_by_name(experiment)
    return 0 if found is None else len(client.search_runs([found.experiment_id], max_results=500))


def test_mlflow_run_trains_with_the_parameters_it_is_given(tiny: Workspace, client: MlflowClient) -> None:
    tiny.run(
        *("mlflow", "run", ".", "-e", "train", "--env-manager", "local", "--experiment-name", "by-mlflow-run"),
        *("-P", "seed=7", "-P", "trees=3", "-P", "C=0.5"),
    )

    experiment = client.get_experiment_by_name("by-mlflow-run")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    children = {run.data.tags["slipway.candidate"]: run for run in found if "slipway.candidate" in run.data.tags}
    assert children["forest"].data.params["trees"] == "3"
    assert children["linear"].data.params["C"] == "0.5"
    assert {run.data.params["seed"] for run in children.values()} == {"7"}
    project = next(run for run in found if "slipway.candidate" not in run.data.tags)
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {project.info.run_id}
    assert project.info.status == "FINISHED"


@pytest.mark.slow
def test_plain_mlflow_run_takes_the_whole_path(tiny: Workspace, client: MlflowClient) -> None:
    tiny.set({"train.seed": 11})

    tiny.run("mlflow", "run", ".", "--experiment-name", "whole-path")

    assert runs_of(client, "whole-path") == 3
    assert "Data and pipelines are up to date" in tiny.run("dvc", "repro")


@pytest.mark.slow
def test_dvc_exp_run_tries_another_seed(tiny: Workspace, client: MlflowClient) -> None:
    before = runs_of(client, "commands")

    tiny.run("dvc", "exp", "run", "-S", "train.seed=5", "--name", "another-seed")

    assert runs_of(client, "commands") == before + 3
    assert "another-seed" in tiny.run("dvc", "exp", "show", "--csv")


def test_a_dirty_tree_is_flagged_and_its_patch_kept_with_the_run(tiny: Workspace, client: MlflowClient) -> None:
    (tiny.folder / "pipelines/notes.py").write_text("# uncommitted\n")

    tiny.run("pipelines.train", "--set", "train.seed=23")

    experiment = client.get_experiment_by_name("commands")
    assert experiment is not None
    parent = client.search_runs([experiment.experiment_id], "params.seed = '23' and params.source != ''")[0]
    assert parent.data.tags["slipway.git.dirty"] == "true"
    patch = client.download_artifacts(parent.info.run_id, "lineage/uncommitted.patch")
    assert "pipelines/notes.py" in Path(patch).read_text()


@pytest.mark.slow
def test_a_lost_cache_and_lost_outputs_come_back_from_the_remote_without_a_training(tiny: Workspace) -> None:
    tiny.run("pipelines")
    before = (tiny.folder / "models/runs.json").read_text()
    for folder in (".dvc/cache", "models", "data/raw", "data/processed"):
        shutil.rmtree(tiny.folder / folder)

    said = tiny.run("pipelines")

    assert "Running stage" not in said
    assert (tiny.folder / "models/runs.json").read_text() == before


@pytest.mark.slow
def test_a_fresh_clone_takes_the_models_from_the_remote(tiny: Workspace, tmp_path: Path) -> None:
    tiny.run("pipelines")
    tiny.git("commit", "--quiet", "--all", "--allow-empty", "--message", "what is on the remote")
    tiny.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Workspace(tmp_path / "clone", {**tiny.env, "PYTHONPATH": str(tmp_path / "clone")})

    said = clone.run("pipelines")

    assert "Running stage 'evaluate'" in said  # its verdict is no object of the remote
    assert "Running stage 'train'" not in said
    assert (clone.folder / "models/runs.json").read_text() == (tiny.folder / "models/runs.json").read_text()


@pytest.mark.parametrize(
    ("stage", "change", "says"),
    [
        ("ingest", "ingest.source=nowhere.csv", "pipelines.ingest: there is no file nowhere.csv"),
        ("validate", "validate.columns={mean radius: {max: 20}}", "column 'mean radius', row"),
        ("train", "train.seed=x", "pipelines.train: params.yaml: train.seed: Input should be a valid integer"),
        ("train", "evaluate.metric=r2", "evaluate.metric r2 is not for classification"),
    ],
)
def test_a_mistake_stops_a_stage_with_one_reason_and_no_traceback(
    tiny: Workspace, stage: str, change: str, says: str
) -> None:
    said = tiny.run(f"pipelines.{stage}", "--set", change, fails=True)

    assert says in said
    assert "Traceback" not in said


def test_a_server_that_is_down_is_one_line_too(tiny: Workspace) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    lost = Workspace(tiny.folder, {**tiny.env, "MLFLOW_TRACKING_URI": address})

    said = lost.run("pipelines.promote", "history", fails=True)

    assert said.strip().splitlines()[-1] == (
        f"pipelines.promote: MLflow at {address} cannot be reached: connection refused; is the stack up? `make status`"
    )
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_reason_with_brackets_is_kept_as_it_is(tiny: Workspace) -> None:
    tiny.run("pipelines.promote", "best", "--reason", "see [/infra] and [mm]")

    assert "see [/infra] and [mm]" in tiny.run("pipelines.promote", "history")
