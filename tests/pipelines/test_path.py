"""The whole path, run once for real: what it leaves in MLflow, in DVC and on S3."""

import hashlib
import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.servers import Stack
from tests.workspace import Workspace

CANDIDATES = {"linear", "forest", "boosting", "network"}


def parent(client: MlflowClient, trained: Workspace) -> Run:
    return client.get_run(json.loads((trained.folder / "models/runs.json").read_text())["parent_run_id"])


def children(client: MlflowClient, trained: Workspace) -> dict[str, Run]:
    run = parent(client, trained)
    found = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'", max_results=20
    )
    return {child.data.tags["slipway.candidate"]: child for child in found}


def test_a_second_dvc_repro_does_nothing(trained: Workspace) -> None:
    said = trained.run("dvc", "repro")

    assert said.count("didn't change, skipping") == 6
    assert "Running stage" not in said


def test_every_candidate_is_a_finished_child_run_with_params_metrics_and_pictures(
    trained: Workspace, client: MlflowClient
) -> None:
    found = children(client, trained)

    assert set(found) == CANDIDATES
    for name, run in found.items():
        assert run.info.status == "FINISHED"
        assert run.data.params["candidate"] == name
        assert {"train_f1_macro", "validation_f1_macro", "test_f1_macro"} <= set(run.data.metrics)
        pictures = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "plots")}
        assert pictures == {"confusion_matrix.png", "roc.png", "precision_recall.png", "importance.png"}


def test_the_network_logs_a_training_and_a_validation_loss_for_every_epoch(
    trained: Workspace, client: MlflowClient
) -> None:
    run = children(client, trained)["network"]

    losses = client.get_metric_history(run.info.run_id, "validation_loss")

    assert [point.step for point in losses] == list(range(1, len(losses) + 1))
    assert len(client.get_metric_history(run.info.run_id, "training_loss")) == len(losses) > 1


def test_the_pytorch_network_itself_is_kept_beside_the_model_that_carries_it(
    trained: Workspace, client: MlflowClient
) -> None:
    run = children(client, trained)["network"]

    models = {
        model.name: model
        for model in mlflow.search_logged_models(
            experiment_ids=[run.info.experiment_id],
            filter_string=f"source_run_id = '{run.info.run_id}'",
            output_format="list",
        )
    }

    assert {"network", "network-torch"} <= set(models)
    network = mlflow.pytorch.load_model(models["network-torch"].model_uri)
    assert network(next(iter(network.state_dict().values())).new_zeros(2, 30)).shape == (2, 2)


def test_runs_and_version_say_where_they_came_from(trained: Workspace, client: MlflowClient) -> None:
    raw = trained.folder / "data/raw/data.parquet"
    md5 = hashlib.md5(raw.read_bytes(), usedforsecurity=False).hexdigest()
    test_md5 = hashlib.md5((trained.folder / "data/processed/test.parquet").read_bytes(), usedforsecurity=False)
    version = client.search_model_versions("name = 'trained-once'")[0]
    lock = hashlib.sha256((trained.folder / "requirements/pipelines.txt").read_bytes()).hexdigest()

    for tags in (*(run.data.tags for run in children(client, trained).values()), version.tags):
        assert tags["slipway.git.commit"] == trained.git("rev-parse", "HEAD")
        assert tags["slipway.git.dirty"] == "false"
        assert tags["slipway.data.md5"] == md5
        assert tags["slipway.test.md5"] == test_md5.hexdigest()
        assert tags["slipway.data.url"] == f"s3://dvc/files/md5/{md5[:2]}/{md5[2:]}"
        assert tags["slipway.lock.sha256"] == lock
        assert len(tags["slipway.params.sha256"]) == 64


def test_data_and_models_are_on_s3_where_the_lineage_says(
    trained: Workspace, stack: Stack, client: MlflowClient
) -> None:
    url = client.search_model_versions("name = 'trained-once'")[0].tags["slipway.data.url"]

    stored = stack.folder / "s3" / url.removeprefix("s3://")

    assert stored.read_bytes() == (trained.folder / "data/raw/data.parquet").read_bytes()
    assert trained.run("dvc", "status", "--cloud").strip().endswith("in sync.")


def test_the_dataset_is_logged_with_dvcs_md5_as_its_digest(trained: Workspace, client: MlflowClient) -> None:
    run = parent(client, trained)

    assert run.inputs
    datasets = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}

    assert set(datasets) == {"training", "validation"}
    md5 = run.data.tags["slipway.data.md5"]
    assert {dataset.digest for dataset in datasets.values()} == {md5}


def test_the_best_on_the_validation_rows_is_registered_and_described(trained: Workspace, client: MlflowClient) -> None:
    found = children(client, trained)
    best = max(run.data.metrics["validation_f1_macro"] for run in found.values())

    versions = client.search_model_versions("name = 'trained-once'")

    assert len(versions) == 1
    assert client.get_run(str(versions[0].run_id)).data.metrics["validation_f1_macro"] == best
    assert all(name in str(versions[0].description) for name in CANDIDATES)
    assert versions[0].tags["slipway.gate"] == "passed"


def test_registering_again_without_changes_makes_no_second_version(trained: Workspace, client: MlflowClient) -> None:
    assert "was already version 1" in trained.run("pipelines.register")

    assert len(client.search_model_versions("name = 'trained-once'")) == 1


@pytest.mark.parametrize("name", sorted(CANDIDATES))
def test_a_candidate_is_skops_with_types_of_our_list_and_pinned_requirements(trained: Workspace, name: str) -> None:
    folder = trained.folder / "models" / name

    model = mlflow.models.Model.load(folder)

    flavour = model.flavors["sklearn"]
    assert flavour["serialization_format"] == "skops"
    trusted = (trained.folder / "pipelines/trusted_types.txt").read_text()
    assert all(kind in trusted for kind in flavour["skops_trusted_types"])
    assert all("==" in line for line in (folder / "requirements.txt").read_text().splitlines())
    assert not [file for file in folder.rglob("*") if file.suffix in {".pkl", ".pickle"}]


def test_all_candidates_take_the_same_columns_and_answer_with_the_same_labels(trained: Workspace) -> None:
    rows = pd.read_parquet(trained.folder / "data/processed/test.parquet").drop(columns="target")

    models = {name: mlflow.pyfunc.load_model(str(trained.folder / "models" / name)) for name in CANDIDATES}

    assert len({str(model.metadata.signature) for model in models.values()}) == 1
    for model in models.values():
        assert set(model.predict(rows)) == {0, 1}


def test_the_path_leaves_only_dvc_lock_to_be_committed(trained: Workspace) -> None:
    assert trained.git("status", "--porcelain") == "?? dvc.lock"


def test_dvc_shows_metrics_and_plots(trained: Workspace) -> None:
    assert "best.f1_macro" in trained.run("dvc", "metrics", "show")
    assert "index.html" in trained.run("dvc", "plots", "show")
    assert "linear.f1_macro" in trained.run("dvc", "metrics", "diff")
