"""The main job itself: `make demo` in a fresh copy of the project, looked at from outside."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.driver import PROMISED_SECONDS, Platform

CANDIDATES = ("linear", "forest", "boosting", "network")
WARM_SECONDS = 90


@dataclass(frozen=True)
class Demo:
    platform: Platform
    said: str

    @property
    def shown(self) -> str:
        """What it shows in the end; the stages' own words are before and, on standard error, after it."""
        return self.said.partition("4/4")[2].partition("done in")[0]


@pytest.fixture(scope="module")
def demo(alone: Platform) -> Demo:
    """It has run once. Look, or leave everything as it was: the tests below share it."""
    return Demo(alone, alone.demo())


@pytest.fixture(scope="module")
def another(demo: Demo) -> str:
    """A second version, of another candidate, which nobody has promoted."""
    return demo.platform.register("boosting")


@pytest.fixture
def home(demo: Demo) -> str:
    """The version that is Production now, in stage and alias."""
    where = demo.platform.production()
    assert where["stage"] == where["alias"]
    return where["stage"]


def cells(line: str) -> list[str]:
    """Of one line of a printed table."""
    return [cell.strip() for cell in line.strip("│┃ ").split("│")]


def test_it_shows_every_candidate_with_its_metrics(demo: Demo) -> None:
    validation, verdict = demo.platform.report("train"), demo.platform.report("verdict")
    rows = {cells(line)[0]: cells(line)[1:] for line in demo.shown.splitlines() if line.startswith("│")}

    assert set(CANDIDATES) == set(validation)
    for name in CANDIDATES:
        figures = [*validation[name].values(), *verdict["test"][name].values()]
        assert rows[name] == [f"{figure:.4f}" for figure in figures]


def test_it_names_the_production_version_and_why(demo: Demo, home: str) -> None:
    best = demo.platform.report("verdict")["best"]
    score = demo.platform.report("evaluate")["best"]["f1_macro"]

    assert f"Production is version {home} of slipway, {best}: best on the validation rows" in demo.shown
    assert f"f1_macro {score:.4f}, wanted at least 0.9" in demo.shown
    assert demo.platform.report("version")["version"] == home


def test_it_shows_predictions_beside_the_true_labels(demo: Demo, home: str) -> None:
    table = demo.shown.partition(f"answered by version {home}")[2]
    shown = [cells(line)[-2:] for line in table.splitlines() if line.startswith("│")]

    answer = demo.platform.predict(demo.platform.test_rows().head(len(shown)))

    assert len(shown) == 8
    assert [predicted for predicted, _ in shown] == [str(each) for each in answer.predictions]
    assert [true for _, true in shown] == [str(each) for each in demo.platform.test_labels()[: len(shown)]]
    assert sum(predicted == true for predicted, true in shown) >= 6


def test_the_addresses_it_prints_answer(demo: Demo) -> None:
    addresses = dict(re.findall(r"^(MLflow UI|API docs|S3) +(http://\S+?),?(?: |$)", demo.shown, re.MULTILINE))

    assert set(addresses) == {"MLflow UI", "API docs", "S3"}
    assert "<title>MLflow</title>" in httpx.get(addresses["MLflow UI"], timeout=30).text
    assert "swagger" in httpx.get(addresses["API docs"], timeout=30).text.lower()
    assert httpx.get(addresses["S3"], timeout=30).status_code < 500


def test_the_stack_stays_up(demo: Demo) -> None:
    assert demo.platform.stack("status").count(" yes") == 3


def test_the_working_tree_is_as_clean_as_before_but_for_the_lock(demo: Demo) -> None:
    assert demo.platform.workspace.git("status", "--porcelain") == "?? dvc.lock"


def test_the_answers_are_as_good_as_the_gate_was_told(demo: Demo) -> None:
    answer = demo.platform.predict(demo.platform.test_rows())

    right = [said == true for said, true in zip(answer.predictions, demo.platform.test_labels(), strict=True)]
    assert sum(right) / len(right) == pytest.approx(demo.platform.report("evaluate")["best"]["accuracy"])


def test_a_second_run_does_nothing_new(demo: Demo, home: str) -> None:
    versions, started = demo.platform.versions(), time.monotonic()

    said = demo.platform.demo()

    assert time.monotonic() - started < WARM_SECONDS
    assert "already up: s3, mlflow, serving" in said
    assert "Running stage" not in said
    assert f"version {home} of slipway already is Production" in said
    assert demo.platform.versions() == versions


def test_down_leaves_nothing_and_up_brings_the_same_version_back(demo: Demo, home: str) -> None:
    row = demo.platform.test_rows().head(1)
    before = demo.platform.predict(row)

    demo.platform.stack("down")

    assert not demo.platform.processes()
    for url in (demo.platform.mlflow_url, demo.platform.serving_url):
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, timeout=5)

    demo.platform.stack("up")

    demo.platform.eventually_answers(home)
    assert demo.platform.predict(row) == before


@pytest.mark.parametrize("move", [Platform.move_stage, Platform.move_alias], ids=["stage", "alias"])
def test_a_promotion_by_mlflows_rest_api_is_answered_within_three_seconds(
    demo: Demo, home: str, another: str, move: Callable[[Platform, str], None]
) -> None:
    move(demo.platform, another)
    try:
        demo.platform.eventually_serves(another, seconds=PROMISED_SECONDS)
    finally:
        demo.platform.rollback()

    demo.platform.eventually_serves(home, seconds=PROMISED_SECONDS)
    assert demo.platform.production() == {"stage": home, "alias": home}


def test_a_refused_gate_leaves_production_where_it_was(demo: Demo, home: str, another: str) -> None:
    said = demo.platform.promote(another, refused=True)

    assert "no step back" in said
    assert demo.platform.production() == {"stage": home, "alias": home}
    assert demo.platform.predict(demo.platform.test_rows().head(1)).version == home


def test_bad_input_is_refused_with_a_reason(demo: Demo) -> None:
    body: dict[str, Any] = {"dataframe_split": {"columns": ["mean radius"], "data": [[1.0]]}}

    answer = httpx.post(f"{demo.platform.serving_url}/invocations", json=body, timeout=30)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "mean texture" in answer.json()["detail"]
