import pytest

from serving.protocol import Trial, View
from serving.trials.candidate import beside, read
from tests.fakes import a_version, in_production

V6, V7 = a_version(6), a_version(7)
KNOWN = {6: V6, 7: V7}


@pytest.mark.parametrize(
    ("text", "trial"),
    [
        (
            '{"version": "7", "mode": "canary", "percent": 10, "since_ms": 1763880000000}',
            Trial(V7, "canary", 10.0, 1763880000000),
        ),
        ('{"version": "7", "mode": "shadow", "since_ms": 5}', Trial(V7, "shadow", 0.0, 5)),
        ('{"version": 7, "mode": "canary", "percent": 0.5}', Trial(V7, "canary", 0.5, 0)),
        ('{"version": "7", "mode": "canary", "percent": 100, "by": "ada"}', Trial(V7, "canary", 100.0, 0)),
    ],
)
def test_what_the_tag_says_is_read(text: str, trial: Trial) -> None:
    assert read(text, KNOWN) == (trial, None)


@pytest.mark.parametrize("text", [None, ""])
def test_without_a_tag_there_is_no_candidate_and_nothing_to_report(text: str | None) -> None:
    assert read(text, KNOWN) == (None, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ten percent", "malformed"),
        ("10", "Expected `object`"),
        ('["7"]', "Expected `object`"),
        ('{"mode": "shadow"}', "`version`"),
        ('{"version": "7", "mode": "blue"}', "$.mode"),
        ('{"version": "7", "mode": "canary"}', "a canary needs a percent"),
        ('{"version": "7", "mode": "canary", "percent": "10"}', "$.percent"),
        ('{"version": "7", "mode": "canary", "percent": 101}', "$.percent"),
        ('{"version": "7", "mode": "canary", "percent": -1}', "$.percent"),
        ('{"version": "7", "mode": "shadow", "since_ms": "now"}', "$.since_ms"),
        ('{"version": "8", "mode": "shadow"}', "no version of that number"),
        ('{"version": "seven", "mode": "shadow"}', "no version of that number"),
        ('{"version": "\u0667", "mode": "shadow"}', "no version of that number"),
        ('{"version": -7, "mode": "shadow"}', "no version of that number"),
    ],
)
def test_a_tag_that_cannot_be_followed_is_told_in_a_sentence(text: str, reason: str) -> None:
    trial, fault = read(text, KNOWN)

    assert trial is None
    assert fault is not None
    assert fault.startswith("tag slipway.candidate does not count: ")
    assert reason in fault


TRIAL = Trial(V7, "shadow", 0, 1)


def test_a_candidate_is_tried_beside_another_version() -> None:
    assert beside(View(trial=TRIAL), V6) == (TRIAL, ())


def test_the_production_version_is_no_candidate() -> None:
    trial, (sentence,) = beside(View(trial=TRIAL), V7)

    assert trial is None
    assert sentence.startswith("version 7 is Production and a candidate")


def test_with_nothing_in_production_there_is_no_candidate() -> None:
    trial, (sentence,) = beside(View(trial=TRIAL), None)

    assert trial is None
    assert sentence == "version 7 is a candidate, and nothing is Production beside it"


def test_why_a_tag_is_not_followed_is_reported() -> None:
    assert beside(in_production(V6), V6) == (None, ())
    assert beside(View(trial_fault="no such version"), V6) == (None, ("no such version",))


def test_another_moment_is_another_trial_and_another_percent_is_not() -> None:
    assert TRIAL.same_as(Trial(V7, "canary", 50, 1))
    assert not TRIAL.same_as(Trial(V7, "shadow", 0, 2))
    assert not TRIAL.same_as(Trial(V6, "shadow", 0, 1))
    assert not TRIAL.same_as(None)
