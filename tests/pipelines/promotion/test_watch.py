"""Serving's verdict on a candidate becomes the registry's: promoted, rejected, or left alone with a reason."""

from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from pipelines import promote
from pipelines.errors import GateRefused, NoCandidate, Undecided
from pipelines.promotion.decision import Order
from pipelines.promotion.heard import Outcome
from pipelines.promotion.report import Report
from pipelines.promotion.watch import Limits, ask, watch
from pipelines.registry import Registry
from pipelines.trial import Trial
from tests.pipelines.registered import PARAMS, requiring, staged, state, to_production
from tests.pipelines.scripted import a_word, scripted
from tests.servers import free_port
from tests.workspace import Workspace

AT_ONCE = Limits(minutes=1e-9, requests=100)
LONG = Limits(minutes=60, requests=100)


@pytest.fixture
def tried(registry: Registry) -> Registry:
    """Version 1 is Production, version 2 a canary."""
    to_production(registry, "1")
    registry.try_out(Trial(version="2", mode="canary", percent=10, since_ms=1_763_880_000_000))
    return registry


TRIAL = Trial(version="2", mode="canary", percent=10, since_ms=1_763_880_000_000)


def conclude(registry: Registry, *urls: str, limits: Limits = AT_ONCE, why: str = "") -> None:
    promote.conclude(registry, PARAMS, list(urls), limits, Order("promote", why))


def report_of(registry: Registry, version: str) -> Report:
    address = registry.get(version).tags["slipway.report"].removesuffix(".md")
    return Report.model_validate_json(Path(mlflow.artifacts.download_artifacts(f"{address}.json")).read_text())


def test_a_candidate_that_did_well_is_promoted_with_what_was_heard(tried: Registry, client: MlflowClient) -> None:
    with scripted(a_word(TRIAL, requests=150, p99_ms=3.5)) as serving:
        conclude(tried, serving.url, why="it is better")

    assert staged(tried, client) == ["2"]
    assert tried.candidate() is None
    assert tried.history()[-1].why == "it is better; 150 requests, no server took it out"
    report = report_of(tried, "2")
    assert (report.outcome, report.traffic[serving.url].requests) == ("passed", 150)
    assert serving.asked == [f"/v2/models/{tried.model}"]


def test_the_gate_has_the_last_word(tried: Registry, client: MlflowClient) -> None:
    strict = requiring("lineage")
    with scripted(a_word(TRIAL, requests=150)) as serving, pytest.raises(GateRefused, match="lineage"):
        promote.conclude(tried, strict, [serving.url], AT_ONCE, Order("promote", ""))

    assert staged(tried, client) == ["1"]
    assert tried.candidate() == TRIAL.written()
    assert report_of(tried, "2").outcome.startswith("refused: lineage")


@pytest.mark.parametrize("ends", ["out", "refused"])
def test_a_candidate_that_serving_gave_up_is_rejected_at_once(tried: Registry, client: MlflowClient, ends: str) -> None:
    script = [None, a_word(TRIAL, "loading"), a_word(TRIAL, requests=40), a_word(TRIAL, ends, reason="errors 30 %")]
    with scripted(*script) as serving:
        conclude(tried, serving.url, limits=LONG)

    reason = f"rejected: {serving.url} took it {ends}: errors 30 %"
    assert tried.get("2").tags["slipway.candidate.verdict"] == reason
    assert tried.candidate() is None
    assert staged(tried, client) == ["1"]
    report = report_of(tried, "2")
    assert (report.outcome, report.asked, report.traffic[serving.url].state) == (reason, "reject", ends)


def test_one_of_several_servers_is_enough_to_reject(tried: Registry) -> None:
    with scripted(a_word(TRIAL, requests=500)) as well, scripted(a_word(TRIAL, "out", reason="slow")) as badly:
        conclude(tried, well.url, badly.url, limits=LONG)

    assert tried.candidate() is None


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (None, "it has no candidate"),
        (404, "it answers 404 for"),
        (500, "it answers 500 for"),
        ({"version": "x"}, "what it says of its candidate cannot be read"),
        (a_word(TRIAL, requests=99), "it has had 99 requests, and 100 were asked for"),
        (a_word(TRIAL, "loading"), "is still loading it"),
        (a_word(TRIAL.model_copy(update={"since_ms": 5}), "out"), "tells of another trial, of version 2"),
    ],
)
def test_without_a_word_to_go_by_nothing_is_changed(
    tried: Registry, client: MlflowClient, word: dict[str, object] | int | None, says: str
) -> None:
    before = state(client, tried.model)

    with scripted(word) as serving, pytest.raises(Undecided) as undecided:
        conclude(tried, serving.url)

    assert says in str(undecided.value)
    assert "no verdict on version 2, canary of 10 %, nothing was changed" in str(undecided.value)
    assert state(client, tried.model) == before


def test_a_serving_that_is_down_leaves_everything_as_it_is(tried: Registry, client: MlflowClient) -> None:
    before = state(client, tried.model)

    with pytest.raises(Undecided, match="it does not answer"):
        conclude(tried, f"http://127.0.0.1:{free_port()}")

    assert state(client, tried.model) == before


def test_a_server_that_comes_back_is_heard_again(tried: Registry) -> None:
    with scripted(a_word(TRIAL), 503, a_word(TRIAL, "out", reason="slow")) as serving:
        conclude(tried, serving.url, limits=LONG)

    assert tried.candidate() is None


def test_a_trial_that_somebody_ends_meanwhile_is_not_watched_to_its_end(tried: Registry) -> None:
    asked = []

    def ended() -> bool:
        asked.append("the registry")
        return False

    with scripted(a_word(TRIAL, requests=500), None) as serving:
        found = watch([serving.url], tried.model, TRIAL, LONG, still=ended)

    assert found.outcome == Outcome("nothing", "somebody has ended or changed the trial meanwhile")
    assert asked == ["the registry"]


def test_a_server_that_forgets_a_trial_the_registry_knows_is_asked_again(tried: Registry) -> None:
    """It may have been restarted."""
    with scripted(a_word(TRIAL, requests=500), None, a_word(TRIAL, "out")) as serving:
        found = watch([serving.url], tried.model, TRIAL, LONG, still=lambda: True)

    assert found.outcome.kind == "reject"


def test_another_percent_meanwhile_is_the_same_trial(tried: Registry, client: MlflowClient) -> None:
    tried.try_out(TRIAL.model_copy(update={"percent": 50}))

    with scripted(a_word(TRIAL, requests=150)) as serving:
        conclude(tried, serving.url)

    assert staged(tried, client) == ["2"]


def test_a_candidate_that_was_changed_meanwhile_is_not_promoted(tried: Registry, client: MlflowClient) -> None:
    other = TRIAL.model_copy(update={"since_ms": TRIAL.since_ms + 1})
    with scripted(a_word(other, requests=500)) as serving, pytest.raises(Undecided, match="another trial"):
        conclude(tried, serving.url)

    assert staged(tried, client) == ["1"]


def test_without_a_candidate_there_is_nothing_to_watch(registry: Registry) -> None:
    with pytest.raises(NoCandidate, match="has no candidate"):
        conclude(registry, "http://127.0.0.1:1")


def test_a_model_with_a_name_that_needs_quoting_is_asked_for_by_its_name() -> None:
    with scripted(None) as serving:
        assert ask(f"{serving.url}/", "a b/c?d") == "it has no candidate"

    assert serving.asked == ["/v2/models/a b/c?d"]


def test_the_command_asks_the_server_in_the_environment_and_ends_with_one_sentence(
    tried: Registry, trained: Workspace
) -> None:
    words = ("pipelines.promote", "watch", "--model", tried.model, "--minutes", "0.001")
    with scripted(a_word(TRIAL, requests=3)) as serving:
        work = Workspace(trained.folder, {**trained.env, "SLIPWAY_SERVING_URL": serving.url})
        said = work.run(*words, fails=True)

    assert f"watch: {serving.url}: version 2 running" in said
    assert said.strip().splitlines()[-1] == (
        "pipelines.promote: no verdict on version 2, canary of 10 %, nothing was changed: "
        "it has had 3 requests, and 100 were asked for"
    )
    assert "Traceback" not in said
