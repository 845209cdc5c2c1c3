"""Rules and dashboards ask for metrics, labels and values that serving has, and for no others.

A question about a metric that was renamed has no answer, and an alert without an answer is silent.
"""

import re
from functools import cache

import pytest

from serving.jobs.job import STATES
from serving.metrics.declared import CODES, GROUPS, KINDS, PHASES, ROUTES, SLOTS, listed
from tests.infra.monitoring.asked import (
    Question,
    Selector,
    grouped,
    of_boards,
    of_rules,
    of_variables,
    recordings,
    selectors,
)

QUESTIONS = [*of_rules(), *of_boards(), *of_variables()]
OF_PROMETHEUS = {"up": set[str](), "ALERTS": {"alertname", "alertstate", "severity"}}
EVERYWHERE = {"job", "instance"}
OF_CANDIDATES = ("loading", "running", "out", "refused")
VALUES = {
    "code": set(CODES),
    "phase": set(PHASES),
    "slot": set(SLOTS),
    "route": {route for _, route in ROUTES},
    "protocol": {protocol for protocol, _ in ROUTES},
    "state": {*STATES, *OF_CANDIDATES},
    "job": {"slipway"},
    "kind": set(KINDS),
}


@cache
def known() -> dict[str, set[str]]:
    """Every series there is, and its labels."""
    found = {name: set(labels) for name, (_, labels, _) in listed().items()} | OF_PROMETHEUS
    for name, (kind, labels, _) in listed().items():
        if kind == "histogram":
            del found[name]
            found |= {f"{name}_bucket": {*labels, "le"}, f"{name}_sum": set(labels), f"{name}_count": set(labels)}
    return found | {name: grouped(expr) | {"code"} for name, expr in recordings().items()}


def asks(question: Question) -> list[Selector]:
    found = list(selectors(question.expr))
    assert found, "it asks for nothing"
    return found


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_question_is_about_metrics_that_there_are(question: Question) -> None:
    assert {each.metric for each in asks(question)} <= set(known())


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_question_is_about_labels_that_they_have(question: Question) -> None:
    series = known()
    for each in asks(question):
        assert {label for label, _, _ in each.matchers} <= series[each.metric] | EVERYWHERE, each.text
    assert grouped(question.expr) <= EVERYWHERE.union(*(series[each.metric] for each in asks(question)))


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_question_is_about_values_that_there_can_be(question: Question) -> None:
    for each in asks(question):
        for label, _, value in each.matchers:
            if label in VALUES and value not in ("", ".*"):
                assert set(value.split("|")) <= VALUES[label], f"{label} in {each.text}"


def test_what_serving_is_to_blame_for_is_one_list() -> None:
    """Of all the codes that a request can end with: each is the caller's doing, a refusal for load, or a failure."""
    (failures,) = [
        value
        for each in selectors(recordings()["instance_model_code:slipway_failures:rate5m"])
        for label, _, value in each.matchers
        if label == "code"
    ]
    load = {"queue-full", "jobs-full", "too-many-connections", "busy"}
    callers = {
        *("ok", "caller-gone", "too-slow", "bad-request", "not-authentic", "not-found", "method-not-allowed"),
        *("unknown-model", "unknown-version", "unsupported-media-type", "unsupported-encoding", "invalid-input"),
        *("too-large", "no-probabilities", "rows-refused", "unknown-job", "job-conflict", "job-not-ended"),
        *("key-reused", "no-jobs", "unauthenticated", "forbidden", "rate-exceeded"),
    }

    assert set(failures.split("|")) | load | callers | {"jobs-unreachable"} == set(CODES)
    assert not set(failures.split("|")) & (load | callers)


def test_every_metric_is_shown_somewhere() -> None:
    """Or nobody would notice that it says something."""
    shown = {each.metric for question in QUESTIONS for each in asks(question)}
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}

    assert set(listed()) - shown - bare == set()
    assert {metric.name for group in GROUPS.values() for metric in group.metrics} <= shown | bare
