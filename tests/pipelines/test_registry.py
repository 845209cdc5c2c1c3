"""A real registry: which version is Production when people move versions in the MLflow UI, and what is not there."""

import json
import warnings
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines import promote
from pipelines.errors import UnknownVersion
from pipelines.registry import Promotion, Registry
from tests.pipelines.registered import move_stage, staged, to_production, withdraw
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


def last(registry: Registry) -> Promotion:
    return registry.history()[-1]


def test_a_stage_moved_in_the_mlflow_ui_is_recorded_at_its_very_time(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "1")
    move_stage(client, registry.model, "2")
    moved_ms = registry.get("2").last_updated_timestamp

    registry.notice_external()

    assert (last(registry).at_ms, last(registry).exact) == (moved_ms, True)


def test_a_stage_moved_in_the_mlflow_ui_and_edited_since_is_recorded_as_not_later(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    move_stage(client, registry.model, "2")
    moved_ms = registry.get("2").last_updated_timestamp
    client.update_model_version(registry.model, "2", "a better one")

    registry.notice_external()

    line = last(registry)
    assert not line.exact
    assert line.earliest_ms is not None
    assert moved_ms is not None
    assert line.earliest_ms <= moved_ms <= line.at_ms


def test_an_alias_moved_in_the_mlflow_ui_is_recorded_between_the_last_look_and_this_one(
    registry: Registry, client: MlflowClient
) -> None:
    to_production(registry, "1")
    registry.notice_external()  # a look that finds nothing new
    looked_ms = json.loads(client.get_registered_model(registry.model).tags["slipway.seen"])["at_ms"]
    client.set_registered_model_alias(registry.model, "production", "2")

    registry.notice_external()

    line = last(registry)
    assert line.version == "2"
    assert line.earliest_ms == looked_ms
    assert line.at_ms >= looked_ms
    assert looked_ms > registry.history()[0].at_ms


def test_a_version_cannot_have_been_production_before_it_was_made(registry: Registry, client: MlflowClient) -> None:
    client.set_registered_model_alias(registry.model, "production", "4")

    registry.notice_external()

    assert last(registry).earliest_ms == registry.get("4").creation_timestamp


def test_a_production_taken_away_in_the_mlflow_ui_is_recorded(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "1")
    withdraw(client, registry.model, "1")

    registry.notice_external()
    registry.notice_external()

    assert [(line.version, line.previous, line.how) for line in registry.history()] == [
        ("1", None, "promote"),
        (None, "1", "external"),
    ]


def test_to_look_for_what_is_not_recorded_writes_nothing(registry: Registry, client: MlflowClient) -> None:
    to_production(registry, "1")
    client.set_registered_model_alias(registry.model, "production", "2")
    before = client.get_registered_model(registry.model).tags

    found = registry.unrecorded()

    assert found is not None
    assert (found.version, found.previous, found.how) == ("2", "1", "external")
    assert client.get_registered_model(registry.model).tags == before


def test_lines_that_an_older_slipway_wrote_are_read(registry: Registry, client: MlflowClient) -> None:
    old = {"at_ms": 5, "version": "1", "previous": None, "who": "ada", "why": "", "how": "promote"}
    client.set_registered_model_tag(registry.model, f"slipway.promotion.{5:015d}", json.dumps(old))
    client.set_registered_model_tag(
        registry.model, "slipway.seen", json.dumps({"version": "1", "stage": "1", "alias": "1"})
    )
    move_stage(client, registry.model, "2")

    registry.notice_external()

    assert [(line.version, line.exact) for line in registry.history()] == [("1", True), ("2", True)]


def test_the_description_of_a_version_in_stage_production_is_left_alone(
    registry: Registry, client: MlflowClient
) -> None:
    """MLflow would stamp it, and of two in that stage it would be the one that was moved there last."""
    move_stage(client, registry.model, "1")
    before = registry.get("1").last_updated_timestamp

    registry.describe(registry.get("1"), "other words")
    registry.describe(registry.get("2"), "other words")

    assert (registry.get("1").description, registry.get("2").description) == ("made by a test", "other words")
    assert registry.get("1").last_updated_timestamp == before
