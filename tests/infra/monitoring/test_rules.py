"""The rules: Prometheus reads them, each alert fires when it should and is silent otherwise, and says what to do."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.monitoring.asked import MONITORING, alerts, recordings, selectors
from tests.infra.monitoring.programs import program
from tests.servers import ROOT

CASES = sorted((Path(__file__).parent / "rules").glob("*.yml"))


def promtool(*words: str) -> str:
    done = subprocess.run([program("promtool"), *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def asked() -> list[tuple[str, list[dict[str, Any]]]]:
    """The alert that a case is asked for, and the labels and value of each that fires then."""
    return [
        (name[1], question["exp_samples"])
        for file in CASES
        for story in yaml.safe_load(file.read_text())["tests"]
        for question in story["promql_expr_test"]
        if (name := re.search(r'alertname="(\w+)"', question["expr"]))
    ]


def test_prometheus_reads_all_of_it() -> None:
    said = promtool("check", "config", str(MONITORING / "prometheus" / "prometheus.yml"))

    assert "SUCCESS: 5 rule files found" in said


@pytest.mark.parametrize("cases", CASES, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should(cases: Path) -> None:
    promtool("test", "rules", str(cases))


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_fires_in_one_story_and_is_silent_in_another(alert: str) -> None:
    told = [bool(samples) for name, samples in asked() if name == alert]

    assert set(told) == {True, False}


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: str) -> None:
    rule = alerts()[alert]
    says = rule["annotations"]

    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(says) == {"summary", "description", "runbook"}
    assert len(re.sub(r"{{.+?}}", "something", says["summary"])) < 90
    assert len(says["description"]) > 80
    assert says["runbook"] == f"docs/monitoring.md#{alert.lower()}"


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_names_only_labels_that_it_has(alert: str) -> None:
    """A label that is not there would be an empty word in the sentence."""
    has = {
        label
        for name, samples in asked()
        if name == alert
        for sample in samples
        for label in re.findall(r'(\w+)="', sample["labels"])
    }

    assert set(re.findall(r"\$labels\.(\w+)", str(alerts()[alert]["annotations"]))) <= has


@pytest.mark.parametrize("alert", alerts())
def test_a_sentence_about_requests_has_no_hole_where_no_version_was_found(alert: str) -> None:
    recorded = recordings()
    asked_for = {each.metric for each in selectors(alerts()[alert]["expr"])}
    while asked_for & recorded.keys():
        asked_for = {
            each.metric for name in asked_for for each in (selectors(recorded[name]) if name in recorded else [])
        } | asked_for - recorded.keys()

    if "slipway_requests_total" in asked_for:
        assert not re.search(r"(?<!or )\$labels\.model", str(alerts()[alert]["annotations"]))
