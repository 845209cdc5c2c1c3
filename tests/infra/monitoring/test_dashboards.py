"""The dashboards, as Grafana is given them: read and not shown, for no Grafana is to be had where these tests run."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from serving.metrics.declared import OF_JOBS
from tests.infra.monitoring.asked import MONITORING, boards, filled, panels, selectors
from tests.servers import ROOT

GRAFANA = MONITORING / "grafana"
SOURCE = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
PROVIDER = yaml.safe_load((GRAFANA / "provisioning/dashboards/slipway.yml").read_text())["providers"][0]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
KINDS = {"stat", "timeseries", "table"}
WIDTH = 24
NOT_IN_THE_SDK = {"builtIn", "titleFormat", "definition"}
"""Of annotations and variables: Grafana writes them when it saves a dashboard; its library has not heard of them."""
Board = dict[str, Any]


def sources(of: object) -> list[dict[str, str]]:
    """Every data source that is named anywhere in it."""
    if isinstance(of, dict):
        here = [of["datasource"]] if "datasource" in of else []
        return here + [found for value in of.values() for found in sources(value)]
    return [found for each in of for found in sources(each)] if isinstance(of, list) else []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def lost(before: object, after: object, path: str = "") -> Iterator[str]:
    """Where `after` does not have what `before` has."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() - NOT_IN_THE_SDK:
            yield from lost(before[name], after.get(name, "nothing"), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def test_there_is_one_for_each_thing_that_is_watched() -> None:
    assert set(boards()) == {"overview", "promotions", "jobs", "processes"}


def test_no_two_have_the_same_name() -> None:
    for what in ("uid", "title"):
        assert len({board[what] for board in boards().values()}) == len(boards())


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_grafana_can_find_a_dashboard_and_where_its_numbers_are(board: Board) -> None:
    assert board["uid"].startswith("slipway-")
    assert len(board["uid"]) <= 40
    assert "id" not in board or board["id"] is None  # Grafana's own, of one of its databases
    assert board["schemaVersion"] >= 39
    assert board["description"].endswith("?") or board["description"].endswith(".")
    named = [each for each in sources(board) if each != {"type": "grafana", "uid": "-- Grafana --"}]
    assert named
    assert all(each == {"type": SOURCE["type"], "uid": SOURCE["uid"]} for each in named)


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_grafanas_own_library_knows_all_that_a_dashboard_says(board: Board) -> None:
    register_default_plugins()

    read = Dashboard.from_json(board)

    assert list(lost(board, json.loads(json.dumps(read, cls=JSONEncoder)))) == []


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_a_panel_says_what_it_shows_and_in_what_unit(board: Board) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in panels(board)]

    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        assert panel["type"] in KINDS, panel["title"]
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_a_panel_asks_something_and_names_its_lines(board: Board) -> None:
    for panel in panels(board):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters, panel["title"]
        assert len(set(letters)) == len(letters)
        for target in panel["targets"]:
            assert target["expr"].strip()
            assert target["legendFormat"] != "__auto" or panel["type"] != "timeseries", panel["title"]


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_no_panel_lies_over_another(board: Board) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in board["panels"]]

    assert [title for title, place in places if place["x"] + place["w"] > WIDTH] == []
    assert [(one, other) for (one, a), (other, b) in combinations(places, 2) if overlap(a, b)] == []


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_a_dashboard_can_be_narrowed_to_a_server(board: Board) -> None:
    named = {variable["name"] for variable in board["templating"]["list"]}

    assert "instance" in named
    assert all(f"${name}" in str(board["panels"]) for name in named)


@pytest.mark.parametrize("board", boards().values(), ids=list(boards()))
def test_every_panel_heeds_the_server_that_is_chosen(board: Board) -> None:
    """But those about what is not one server's: the jobs' database, and alerts, some of which have no server."""
    for panel in panels(board):
        for target in panel["targets"]:
            asked = list(selectors(filled(target["expr"])))
            if not {each.metric for each in asked} <= {"ALERTS", *(metric.name for metric in OF_JOBS)}:
                assert target["expr"].count("$instance") == len(asked), panel["title"]


def test_refusals_that_know_no_model_are_shown_whichever_model_is_chosen() -> None:
    shown = {panel["title"]: panel["targets"][0]["expr"] for panel in panels(boards()["overview"])}

    for title in ("Requests by version", "Errors by code"):
        assert 'model=~"$model|"' in shown[title]


def test_compose_mounts_what_grafana_is_told_to_read() -> None:
    mounted = dict(volume.split(":")[:2][::-1] for volume in COMPOSE["grafana"]["volumes"])

    assert mounted["/etc/grafana/provisioning"] == "./infra/monitoring/grafana/provisioning"
    assert mounted[PROVIDER["options"]["path"]] == "./infra/monitoring/grafana/dashboards"
    assert SOURCE["url"] == "${PROMETHEUS_URL}"
    assert COMPOSE["grafana"]["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
