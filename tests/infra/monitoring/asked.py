"""Every question that the rules and dashboards ask of Prometheus, taken apart by a parser of its language."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import promql_parser as promql
import yaml

from tests.servers import ROOT

MONITORING = ROOT / "infra" / "monitoring"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
BOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))


@dataclass(frozen=True)
class Question:
    """`where`: the file, and the rule or panel in it. `expr`: with nothing of Grafana's in it."""

    where: str
    expr: str

    def __str__(self) -> str:
        return self.where


@dataclass(frozen=True)
class Selector:
    """Series that are looked for."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""
    text: str


@cache
def rules() -> list[dict[str, Any]]:
    """Alerts and recordings as they are written."""
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recordings() -> dict[str, str]:
    """What is recorded, by name."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


@cache
def boards() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text()) for file in BOARDS}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def of_rules() -> list[Question]:
    return [Question(f"rules: {rule.get('alert') or rule['record']}", rule["expr"]) for rule in rules()]


def of_boards() -> list[Question]:
    """Of panels and of annotations."""
    return [
        Question(f"{name}: {asks.get('title') or asks['name']}", filled(target["expr"]))
        for name, board in boards().items()
        for asks in [*panels(board), *board["annotations"]["list"]]
        for target in asks.get("targets", [asks])
        if "expr" in target
    ]


def of_variables() -> list[Question]:
    """What the lists at the top of a dashboard are made of."""
    return [
        Question(f"{name}: ${variable['name']}", re.fullmatch(r"label_values\((.+), \w+\)", variable["definition"])[1])  # type: ignore[index]
        for name, board in boards().items()
        for variable in board["templating"]["list"]
    ]


def filled(expr: str) -> str:
    """As Grafana asks for all models and servers, with points ten seconds apart."""
    return expr.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$model", ".*")


def selectors(expr: str) -> Iterator[Selector]:
    for node in _nodes(expr):
        if isinstance(node, promql.VectorSelector):
            matchers = tuple((each.name, _operator(each.op), each.value) for each in node.matchers.matchers)
            yield Selector(str(node.name), matchers, str(node))


def grouped(expr: str) -> set[str]:
    """The labels that are kept or left out somewhere in it."""
    return {name for each in re.findall(r"\b(?:by|without|on|ignoring) ?\(([^)]*)\)", expr) for name in _words(each)}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def _nodes(expr: str) -> list[Any]:
    found: list[Any] = []
    promql.walk(promql.parse(expr), found.append)
    return found


def _operator(found: promql.MatchOp) -> str:
    return {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}[str(found).rpartition(".")[2]]
