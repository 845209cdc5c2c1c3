"""Promotion on a real registry: the gate, stage and alias in step, the history, the way back."""

import warnings

import mlflow
import pytest
from mlflow import MlflowClient

from pipelines import promote
from pipelines.errors import GateRefused, UnknownVersion
from pipelines.registry import Registry
from tests.pipelines.registered import PARAMS, staged, to_production, withdraw
from tests.servers import Stack
from tests.workspace import Workspace


def test_promotion_moves_stage_and_alias_together_and_archives_the_former(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    to_production(registry, "2")

    assert staged(registry, client) == ["2"]
    assert client.get_model_version_by_alias(registry.model, "production").version == "2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        assert registry.get("1").current_stage == "Archived"


def test_who_when_why_and_from_are_on_record(registry: Registry) -> None:
    to_production(registry, "1", why="the first")
    to_production(registry, "2", why="better")

    first, second = registry.history()

    assert (first.version, first.previous, first.why, first.how) == ("1", None, "the first", "promote")
    assert (second.version, second.previous, second.why) == ("2", "1", "better")
    assert second.who
    assert second.at_ms >= first.at_ms
    assert registry.get("2").tags["slipway.promoted.why"] == "better"


def test_a_refused_gate_names_the_check_and_changes_nothing(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "2")

    with pytest.raises(GateRefused) as refused:
        to_production(registry, "4")

    assert "version 4 stays out of Production: floor: f1_macro 0.5000, wanted at least 0.9" in str(refused.value)
    assert "no step back: f1_macro 0.5000, Production (version 2) has 0.9600" in str(refused.value)
    assert staged(registry, client) == ["2"]
    assert len(registry.history()) == 1


def test_a_version_registered_in_the_mlflow_ui_without_tags_is_compared_by_its_runs(registry: Registry) -> None:
    to_production(registry, "3")
    first = registry.get("1")
    untagged = registry.create(source=str(first.source), run_id=str(first.run_id), tags={}, description="")

    with pytest.raises(GateRefused, match=r"no step back: f1_macro 0\.9500, Production \(version 3\) has 0\.9700"):
        to_production(registry, untagged.version)


def test_a_version_whose_run_was_never_evaluated_is_refused(registry: Registry, client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        pass
    version = registry.create(source=str(registry.get("1").source), run_id=run.info.run_id, tags={}, description="")

    with pytest.raises(GateRefused, match="its run has no metric test_f1_macro"):
        to_production(registry, version.version)


def test_a_version_that_does_not_load_is_refused(registry: Registry, stack: Stack) -> None:
    model_id = str(registry.get("3").source).rpartition("/")[2]
    for file in (stack.folder / "s3/mlflow").rglob(f"*/{model_id}/artifacts/model.skops"):
        file.write_bytes(b"broken")

    with pytest.raises(GateRefused, match="answers its example"):
        to_production(registry, "3")


def test_rollback_restores_the_former_production_whatever_its_number(registry: Registry, client: MlflowClient) -> None:
    for version in ("3", "1", "2"):
        to_production(
            registry, version, PARAMS.model_copy(update={"evaluate": PARAMS.evaluate.model_copy(update={"margin": 1})})
        )

    promote.rollback(registry, why="it misbehaves")
    assert staged(registry, client) == ["1"]

    promote.rollback(registry, why="this one too")
    assert staged(registry, client) == ["3"]
    assert [line.how for line in registry.history()][-2:] == ["rollback", "rollback"]


def test_there_is_no_way_back_from_the_first(registry: Registry) -> None:
    to_production(registry, "1")

    with pytest.raises(UnknownVersion, match="no earlier Production"):
        promote.rollback(registry, why="")


def test_promoting_what_already_is_production_adds_no_line_but_puts_the_alias_right(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    client.delete_registered_model_alias(registry.model, "production")

    to_production(registry, "1")

    assert len(registry.history()) == 1
    assert client.get_model_version_by_alias(registry.model, "production").version == "1"


def test_the_command_promotes_shows_its_history_and_says_no_in_one_line(
    trained: Workspace, client: MlflowClient
) -> None:
    # Others share this registry and may have promoted the same version: what already is Production is not moved again.
    withdraw(client, "trained-once", "1")
    said = trained.run("pipelines.promote", "best", "--reason", "looks good")
    assert "pass  floor" in said
    assert "Production" in said.splitlines()[-1]

    assert "looks good" in trained.run("pipelines.promote", "history")

    refused = trained.run("pipelines.promote", "99", fails=True)
    assert refused.strip().splitlines()[-1] == "pipelines.promote: trained-once has no version 99 in the registry"
    assert "Traceback" not in refused
