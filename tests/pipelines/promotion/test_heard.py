"""The verdict on a candidate, from what the servers say: when to promote, when to reject, and when there is none."""

from typing import Any

import pytest

from pipelines.promotion.heard import Heard, Outcome, judged
from pipelines.trial import Trial

TRIAL = Trial(version="7", mode="canary", percent=10, since_ms=1000)
ONE, OTHER = "http://one", "http://other"


def heard(state: str = "running", **told: Any) -> Heard:
    said = {"version": 7, "mode": "canary", "percent": 10.0, "since_ms": 1000, "state": state, "requests": 60} | told
    return Heard.model_validate(said)


def verdict(words: dict[str, Heard | str], *, requests: int = 100, over: bool = True) -> Outcome | None:
    return judged(words, TRIAL, requests=requests, over=over)


def test_a_candidate_that_all_servers_kept_to_the_end_with_enough_requests_is_promoted() -> None:
    found = verdict({ONE: heard(), OTHER: heard()})

    assert found == Outcome("promote", "120 requests, no server took it out")


def test_before_the_end_there_is_no_verdict_on_one_that_does_well() -> None:
    assert verdict({ONE: heard(requests=10_000)}, over=False) is None


@pytest.mark.parametrize("state", ["out", "refused"])
@pytest.mark.parametrize("over", [True, False])
def test_one_server_that_takes_it_out_decides_at_once(state: str, over: bool) -> None:
    found = verdict({ONE: heard(), OTHER: heard(state, reason="p99 90 ms, allowed 50")}, over=over)

    assert found == Outcome("reject", f"http://other took it {state}: p99 90 ms, allowed 50")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("it does not answer (refused)", "http://other: it does not answer (refused)"),
        (heard("loading"), "http://other is still loading it"),
        (heard(version=8), "http://other tells of another trial, of version 8"),
        (heard(since_ms=999), "http://other tells of another trial, of version 7"),
        (heard("out", since_ms=999), "http://other tells of another trial, of version 7"),
    ],
)
def test_a_server_that_says_nothing_good_of_this_trial_leaves_it_undecided(word: Heard | str, says: str) -> None:
    assert verdict({ONE: heard(requests=1000), OTHER: word}) == Outcome("nothing", says)
    assert verdict({ONE: heard(requests=1000), OTHER: word}, over=False) is None


def test_too_few_requests_are_no_verdict() -> None:
    assert verdict({ONE: heard(requests=99)}) == Outcome("nothing", "it has had 99 requests, and 100 were asked for")
