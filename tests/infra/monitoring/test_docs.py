"""docs/monitoring.md says of every alert what it means, and of no other."""

import re

import pytest

from serving.metrics.declared import CODES
from tests.infra.monitoring.asked import MONITORING, alerts, boards
from tests.servers import ROOT

DOCS = (ROOT / "docs/monitoring.md").read_text()
PARAGRAPHS = dict(re.findall(r"^### (\w+)\n\n(.+?)(?=\n###? |\Z)", DOCS, re.MULTILINE | re.DOTALL))


def test_every_alert_has_its_paragraph_and_no_other_does() -> None:
    assert set(PARAGRAPHS) == set(alerts())


@pytest.mark.parametrize("alert", alerts())
def test_a_paragraph_says_how_urgent_it_is_and_what_it_is(alert: str) -> None:
    assert PARAGRAPHS[alert].startswith(f"*{alerts()[alert]['labels']['severity']}.* ")
    assert len(PARAGRAPHS[alert]) > 100


def test_the_causes_of_failures_are_explained() -> None:
    explained = set(re.findall(r"`([a-z-]+)`", " ".join(re.findall(r"^\| (`.+?) \|", DOCS, re.MULTILINE)))) & set(CODES)
    (failures,) = re.findall(r'code=~"([a-z|-]+)"', (MONITORING / "prometheus/rules/recording.yml").read_text())

    assert explained == set(failures.split("|"))


def test_the_dashboards_are_named() -> None:
    for board in boards().values():
        assert board["title"].removeprefix("Slipway: ").capitalize() in DOCS


def test_the_files_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:prometheus|grafana)/[\w./]+|targets\.compose\.yml)`", DOCS):
        assert (MONITORING / name).exists(), name
