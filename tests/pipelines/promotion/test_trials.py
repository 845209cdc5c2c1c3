"""A candidate beside Production: who may become one, what the registry says of it, and how a trial ends."""

import json
import warnings

import pytest
from mlflow import MlflowClient

from pipelines import promote, trial
from pipelines.errors import GateRefused, NoCandidate
from pipelines.promotion import trials
from pipelines.promotion.decision import Options, Order
from pipelines.registry import Registry
from pipelines.trial import Trial
from tests.pipelines.registered import PARAMS, staged, state, to_production
from tests.workspace import Workspace


@pytest.fixture
def beside(registry: Registry) -> Registry:
    """Version 1 is Production."""
    to_production(registry, "1")
    return registry


def canary(registry: Registry, version: str, percent: float = 10, *, dry_run: bool = False) -> Trial:
    order = Order("canary", "to see", Options(dry_run=dry_run))
    trials.canary(registry, registry.get(version), PARAMS, percent, order)
    return trials.candidate(registry)


def shadow(registry: Registry, version: str) -> Trial:
    trials.shadow(registry, registry.get(version), "to see")
    return trials.candidate(registry)


def test_a_canary_that_passes_the_gate_gets_its_share(beside: Registry, client: MlflowClient) -> None:
    found = canary(beside, "2")

    tag = json.loads(client.get_registered_model(beside.model).tags["slipway.candidate"])
    assert tag == {"version": "2", "mode": "canary", "percent": 10, "since_ms": found.since_ms}
    assert beside.get("2").tags["slipway.gate"] == "passed"
    assert beside.get("2").tags["slipway.trial"].startswith("version 2, canary of 10 %, by ")
    assert staged(beside, client) == ["1"]


def test_a_canary_that_the_gate_refuses_answers_nobody(beside: Registry) -> None:
    with pytest.raises(GateRefused, match="version 4 stays out of traffic: floor: "):
        canary(beside, "4")

    assert beside.candidate() is None


def test_a_shadow_needs_no_gate_for_it_answers_nobody(beside: Registry) -> None:
    found = shadow(beside, "4")

    assert (found.version, found.mode, found.percent) == ("4", "shadow", None)


def test_another_percent_goes_on_with_the_trial(beside: Registry) -> None:
    first = canary(beside, "2", 10)

    second = canary(beside, "2", 25)

    assert (second.percent, second.since_ms) == (25, first.since_ms)


def test_a_share_can_be_taken_back_even_from_a_version_that_would_no_longer_pass(
    beside: Registry, client: MlflowClient
) -> None:
    first = canary(beside, "2", 10)
    client.log_metric(str(beside.get("2").run_id), "test_f1_macro", 0.1)

    assert canary(beside, "2", 0).since_ms == first.since_ms


def test_another_mode_or_version_is_another_trial(beside: Registry) -> None:
    first = shadow(beside, "2")
    second = canary(beside, "2")
    third = canary(beside, "3")

    assert first.since_ms < second.since_ms < third.since_ms


def test_a_dry_run_of_a_canary_begins_no_trial(beside: Registry, client: MlflowClient) -> None:
    before = state(client, beside.model)

    with pytest.raises(NoCandidate):
        canary(beside, "2", dry_run=True)

    assert state(client, beside.model) == before


def test_production_cannot_be_tried_beside_itself_nor_anything_beside_nothing(registry: Registry) -> None:
    with pytest.raises(NoCandidate, match="has no Production to be tried beside; promote a version first"):
        shadow(registry, "2")
    to_production(registry, "1")
    with pytest.raises(NoCandidate, match=r"version 1 of .* already is Production"):
        shadow(registry, "1")


def test_promoting_the_candidate_ends_its_trial_and_another_ones_goes_on(beside: Registry) -> None:
    canary(beside, "3")
    to_production(beside, "2")
    assert trials.candidate(beside).version == "3"

    to_production(beside, "3")

    assert beside.candidate() is None


def test_a_rollback_ends_the_trial(beside: Registry) -> None:
    to_production(beside, "2")
    canary(beside, "3")

    promote.rollback(beside, why="all back")

    assert beside.candidate() is None


def test_a_rejected_candidate_says_so_for_good(beside: Registry, client: MlflowClient) -> None:
    trials.reject(beside, canary(beside, "2"), "too slow")

    version = beside.get("2")
    assert beside.candidate() is None
    assert version.tags["slipway.candidate.verdict"] == "rejected: too slow"
    assert "**rejected: too slow**" in str(version.description)
    (report,) = [
        file.path
        for file in client.list_artifacts(str(version.run_id), "promotion")
        if file.path in version.tags["slipway.report"]
    ]
    assert report.startswith("promotion/version-2-")
    assert staged(beside, client) == ["1"]


def test_only_the_candidate_that_is_meant_is_rejected(beside: Registry) -> None:
    with pytest.raises(NoCandidate, match="has no candidate; `promote --canary VERSION --percent 10` makes one"):
        trials.candidate(beside)
    canary(beside, "2")
    with pytest.raises(NoCandidate, match="is version 2, not 3"):
        trials.candidate(beside, "3")


def test_a_tag_that_a_person_broke_does_not_stand_in_the_way(beside: Registry, client: MlflowClient) -> None:
    client.set_registered_model_tag(beside.model, trial.TAG, "version seven, please")

    to_production(beside, "2")
    assert beside.candidate() == "version seven, please"  # theirs to put right

    assert canary(beside, "3").version == "3"


def test_the_commands_begin_change_and_end_a_trial(beside: Registry, client: MlflowClient, trained: Workspace) -> None:
    model = ("--model", beside.model)

    said = trained.run("pipelines.promote", "--shadow", "2", *model, "--reason", "to see")
    assert f"the candidate of {beside.model} is version 2, shadow; `promote watch` waits" in said
    assert trials.candidate(beside).mode == "shadow"

    assert "version 2, shadow, is no candidate any more: rejected: no" in trained.run(
        "pipelines.promote", "reject", "2", *model, "--reason", "no"
    )
    assert beside.candidate() is None

    refused = trained.run("pipelines.promote", "--canary", "2", "--percent", "5", *model, fails=True)
    assert "version 2 stays out of traffic: lineage: " in refused  # params.yaml requires every check
    assert "Traceback" not in refused

    trained.run("pipelines.promote", "--shadow", "2", *model)
    assert f"{beside.model} has no candidate" in trained.run("pipelines.promote", "--no-candidate", *model)
    assert beside.candidate() is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        assert beside.get("1").current_stage == "Production"
