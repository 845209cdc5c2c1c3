"""The tag by which pipelines tells serving of a candidate: its name and form, and that it comes and goes at once."""

import json
import time

import mlflow
import pytest
from mlflow import MlflowClient

from pipelines.promotion import trials
from pipelines.promotion.decision import Order
from pipelines.registry import Registry
from tests.pipelines.registered import PARAMS, a_registry
from tests.servers import Stack


@pytest.fixture
def registry(stack: Stack, unique_name: str, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 1 is Production."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.tracking_uri)
    mlflow.set_tracking_uri(stack.tracking_uri)
    made = a_registry(MlflowClient(stack.tracking_uri, stack.tracking_uri), unique_name)
    made.align(made.get("1"))
    return made


def tags(stack: Stack, name: str) -> dict[str, str]:
    """As serving polls them, with MLflow's own client."""
    return dict(MlflowClient(stack.tracking_uri, stack.tracking_uri).get_registered_model(name).tags)


def test_a_shadow_is_one_tag_in_the_agreed_form(registry: Registry, stack: Stack) -> None:
    before_ms = time.time_ns() // 1_000_000

    trials.shadow(registry, registry.get("4"), "to see")

    tag = json.loads(tags(stack, registry.model)["slipway.candidate"])
    assert before_ms <= tag.pop("since_ms") <= time.time_ns() // 1_000_000
    assert tag == {"version": "4", "mode": "shadow"}


@pytest.mark.parametrize("percent", [0, 10, 12.5, 100])
def test_a_canary_names_its_percent_as_a_number(registry: Registry, stack: Stack, percent: float) -> None:
    order = Order("canary", "to see")
    trials.canary(registry, registry.get("2"), PARAMS, percent, order)

    tag = json.loads(tags(stack, registry.model)["slipway.candidate"])

    assert (tag["version"], tag["mode"], tag["percent"]) == ("2", "canary", percent)
    assert isinstance(tag["since_ms"], int)
    assert set(tag) == {"version", "mode", "percent", "since_ms"}


def test_the_tag_is_gone_when_the_trial_is_over(registry: Registry, stack: Stack) -> None:
    trials.shadow(registry, registry.get("4"), "to see")

    registry.end_trial()

    assert "slipway.candidate" not in tags(stack, registry.model)
