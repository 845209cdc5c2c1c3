"""A real registry: which version is Production when people move versions in the MLflow UI, and what is not there."""

import warnings
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines import promote
from pipelines.errors import UnknownVersion
from pipelines.registry import Promotion, Registry
from tests.pipelines.registered import move_stage, staged, to_production
from tests.servers import Stack, free_port


@pytest.mark.parametrize("how", ["stage", "alias"])
def test_a_promotion_made_in_the_mlflow_ui_is_seen_recorded_and_can_be_rolled_back(
    registry: Registry, client: MlflowClient, how: str
) -> None:
    to_production(registry, "1")
    if how == "stage":
        move_stage(client, registry.model, "2")
    else:
        client.set_registered_model_alias(registry.model, "production", "2")

    registry.notice_external()
    registry.notice_external()

    current = registry.production()
    assert current is not None
    assert current.version == "2"
    assert [(line.version, line.how) for line in registry.history()] == [("1", "promote"), ("2", "external")]
    promote.rollback(registry, why="")
    assert staged(registry, client) == ["1"]


def test_every_external_promotion_has_a_line_of_its_own(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "1")
    for version in ("2", "3", "4"):
        client.set_registered_model_alias(registry.model, "production", version)
        registry.notice_external()

    assert [(line.version, line.previous) for line in registry.history()] == [
        ("1", None),
        ("2", "1"),
        ("3", "2"),
        ("4", "3"),
    ]


def test_of_stage_and_alias_the_one_changed_last_counts_however_often_they_are_changed(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    for change, version in (
        ("alias", "2"),
        ("stage", "3"),
        ("alias", "4"),
        ("alias", "3"),
        ("stage", "2"),
        ("alias", "1"),
    ):
        if change == "stage":
            move_stage(client, registry.model, version)
        else:
            client.set_registered_model_alias(registry.model, "production", version)

        registry.notice_external()

        current = registry.production()
        assert current is not None
        assert current.version == version


def test_of_several_in_stage_production_the_one_moved_last_counts_not_the_highest(
    registry: Registry, client: MlflowClient
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for version in ("2", "1"):
            client.transition_model_version_stage(registry.model, version, "Production")

    current = registry.production()

    assert current is not None
    assert current.version == "1"


@pytest.mark.parametrize("version", ["99", "latest"])
def test_a_version_nobody_made_is_named(registry: Registry, version: str) -> None:
    with pytest.raises(UnknownVersion, match=f"has no version {version} in the registry"):
        registry.get(version)


def test_a_model_nobody_registered_has_no_production_and_no_history(client: MlflowClient, unique_name: str) -> None:
    registry = Registry(client, unique_name)

    assert (registry.production(), registry.versions(), registry.history()) == (None, [], [])


@pytest.mark.parametrize("look", [lambda it: it.get("1"), Registry.history, Registry.production])
def test_a_registry_that_is_down_is_not_an_empty_one(
    look: Callable[[Registry], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = Registry(MlflowClient(f"http://127.0.0.1:{free_port()}"), "any")

    with pytest.raises(MlflowException, match="Max retries exceeded"):
        look(down)


class AliasesFail(MlflowClient):
    """A server whose database hiccups whenever it is asked for an alias."""

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        raise MlflowException(f"database is locked: {name}@{alias}")


def test_an_alias_that_cannot_be_read_is_not_taken_for_one_nobody_set(registry: Registry, stack: Stack) -> None:
    to_production(registry, "1")

    with pytest.raises(MlflowException, match="database is locked"):
        Registry(AliasesFail(stack.tracking_uri), registry.model).production()


def test_lines_of_the_history_come_back_in_the_order_of_time(registry: Registry) -> None:
    write: Callable[[int, str], None] = lambda at_ms, version: registry.record(  # noqa: E731
        Promotion(at_ms, version, None, "somebody", "", "promote")
    )
    for at_ms, version in ((3_000, "3"), (20_000, "4"), (1, "1")):
        write(at_ms, version)

    assert [line.version for line in registry.history()] == ["1", "3", "4"]
