"""How the gate comes by its figures: which rows two versions are compared on, and what cannot be compared."""

import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipelines import data, lineage
from pipelines.data import Column, Rows, Schema
from pipelines.gate import Verdict
from pipelines.promotion.inspection import TEST_TAG, Terms, inspect, rival_on
from pipelines.registry import Registry
from tests.pipelines.registered import PARAMS
from tests.servers import Stack, free_port

SCHEMA = Schema(
    task="classification", target="bought", columns=[Column(name="age", kind="number")], classes=[0, 1]
)  # the registry's models say 0 for 0.0, 1 for 1.0
ROWS = pd.DataFrame({"age": [0.0, 1.0] * 10, "bought": [0, 1] * 10})


def against(registry: Registry, version: str, current: str) -> Verdict:
    return inspect(registry.get(version), registry.get(current), Terms(PARAMS.evaluate, PARAMS.promote))


def measured_on(client: MlflowClient, registry: Registry, version: str, test_md5: str | None) -> None:
    """Let the version's run name these test rows, or none; the raw data is the same for all."""
    run_id = str(registry.get(version).run_id)
    client.set_tag(run_id, "slipway.data.md5", "the same raw data")
    if test_md5 is None:
        client.delete_tag(run_id, TEST_TAG)
    else:
        client.set_tag(run_id, TEST_TAG, test_md5)


def test_figures_on_record_count_when_they_are_of_the_same_rows(registry: Registry) -> None:
    verdict = against(registry, "1", "3")

    assert "Production (version 3) has 0.9700 on the same rows" in verdict.refusal


@pytest.mark.parametrize(("new", "old"), [("seed 1", "seed 2"), ("seed 1", None), (None, "seed 2"), (None, None)])
def test_another_split_of_the_same_data_is_no_ground_for_a_comparison(
    registry: Registry, client: MlflowClient, new: str | None, old: str | None
) -> None:
    measured_on(client, registry, "1", new)
    measured_on(client, registry, "3", old)

    verdict = against(registry, "1", "3")

    assert verdict.passed
    assert "version 3 cannot be compared: the two are not known to be measured on the same rows" in str(verdict)


def test_production_is_measured_on_the_versions_own_test_rows_where_they_are_here(
    registry: Registry, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data.write_json(data.SCHEMA, SCHEMA.model_dump(mode="json"))
    ROWS.to_parquet(data.TEST)
    measured_on(client, registry, "1", lineage.file_md5(data.TEST))

    verdict = against(registry, "1", "3")

    assert "Production (version 3) has 1.0000 on the same rows" in verdict.refusal


def test_a_production_that_fails_on_the_rows_cannot_be_compared(registry: Registry) -> None:
    wider = SCHEMA.model_copy(update={"columns": [*SCHEMA.columns, Column(name="height", kind="number")]})

    rival = rival_on(Rows.of(ROWS.assign(height=1.0), wider), wider, registry.get("3"), "f1_macro")

    assert (rival.value, rival.why_not) == (None, "it fails on this data (ValueError)")


def test_a_production_that_is_gone_cannot_be_compared(registry: Registry, client: MlflowClient) -> None:
    current = registry.get("3")
    client.delete_model_version(registry.model, "3")

    rival = rival_on(Rows.of(ROWS, SCHEMA), SCHEMA, current, "f1_macro")

    assert (rival.value, rival.why_not) == (None, "the registry has lost it")


def test_a_version_whose_mlmodel_is_broken_is_refused_in_words(registry: Registry, stack: Stack) -> None:
    model_id = str(registry.get("2").source).rpartition("/")[2]
    (file,) = (stack.folder / "s3/mlflow").rglob(f"*/{model_id}/artifacts/MLmodel")
    file.write_text("flavors: [")

    verdict = against(registry, "2", "1")

    assert "signature: an MLmodel file cannot be read (" in verdict.refusal
    assert "answers its example: it does not load: " in verdict.refusal


def test_a_production_whose_files_are_lost_keeps_nobody_from_promoting_another(
    registry: Registry, stack: Stack
) -> None:
    model_id = str(registry.get("1").source).rpartition("/")[2]
    for folder in (stack.folder / "s3/mlflow").rglob(f"*/{model_id}/artifacts"):
        shutil.rmtree(folder)

    verdict = against(registry, "2", "1")

    (check,) = [check for check in verdict.checks if check.name == "signature"]
    assert check.passed
    assert check.detail.startswith("cannot be compared with version 1's: its MLmodel file cannot be read (")


def test_a_server_that_is_down_is_no_reason_to_go_without_a_comparison(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = registry.get("3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(MlflowException, match="Max retries exceeded"):
        rival_on(Rows.of(ROWS, SCHEMA), SCHEMA, current, "f1_macro")
