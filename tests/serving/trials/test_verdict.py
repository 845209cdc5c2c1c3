import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.protocol import Trial
from serving.trials.tally import Counter, Counts, Tally
from serving.trials.verdict import FEWEST_OVERDUE, MOST_DEATHS, Limits, broken
from tests.fakes import a_version

LIMITS = Limits(error_rate=0.02, p99_ratio=2, requests=50)


def counts(requests: int = 0, *, errors: int = 0, ms: float = 10, slow: int = 0, slow_ms: float = 1000) -> Counts:
    """Answered in `ms`, `slow` of them in `slow_ms`."""
    counter = Counter(Trial(a_version(7), "shadow", 0, 1), 6)
    for number in range(requests - errors):
        counter.answered(7, (slow_ms if number < slow else ms) / 1000)
    for _ in range(errors):
        counter.failed(7)
    return counter.tally().candidate


def judged(candidate: Counts, beside: Counts, *, deaths: int = 0) -> str:
    return broken([Tally("iris", 7, 1, 6, candidate, beside)], deaths, LIMITS)


def test_a_candidate_as_good_as_production_breaks_nothing() -> None:
    assert judged(counts(1000, errors=3), counts(1000, errors=3)) == ""


def test_nothing_counted_breaks_nothing() -> None:
    assert judged(Counts(), Counts()) == ""


def test_one_that_always_fails_need_not_fail_fifty_times() -> None:
    assert judged(counts(1, errors=1), counts(100)) == ""
    assert judged(counts(2, errors=2), counts(100)).startswith("2 of its 2 requests failed, of version 6's 0.0%")


def test_a_few_failures_among_many_requests_are_allowed() -> None:
    assert judged(counts(1000, errors=20), counts(1000)) == ""
    assert judged(counts(1000, errors=21), counts(1000)) != ""


def test_what_production_fails_at_as_well_is_not_the_candidates() -> None:
    assert judged(counts(100, errors=30), counts(100, errors=30)) == ""
    assert judged(counts(100, errors=30), counts(1000, errors=10)) != ""


def test_one_that_is_twice_as_slow_breaks_the_limit() -> None:
    reason = judged(counts(60, ms=25), counts(60, ms=10))

    assert reason.startswith("its p99 is 2")
    assert "version 6's" in reason
    assert judged(counts(60, ms=18), counts(60, ms=10)) == ""


@pytest.mark.parametrize(("candidate", "beside"), [(49, 500), (500, 49), (500, 0)])
def test_a_p99_of_few_requests_says_nothing(candidate: int, beside: int) -> None:
    assert judged(counts(candidate, ms=900), counts(beside, ms=1)) == ""


def test_a_few_slow_ones_are_a_hiccup() -> None:
    assert judged(counts(100, slow=4), counts(100)) == ""
    assert judged(counts(100, slow=5), counts(100)) != ""


def test_a_difference_that_nobody_notices_is_none() -> None:
    assert judged(counts(100, ms=0.9), counts(100, ms=0.05)) == ""


def test_one_that_leaves_its_callers_waiting_breaks_the_limit_without_an_answer() -> None:
    waiting = Counts(requests=FEWEST_OVERDUE, overdue=FEWEST_OVERDUE)

    assert "wait for an answer for over 5 s" in judged(waiting, counts(100))
    assert judged(waiting, waiting) == ""  # then it is not the candidate
    assert judged(Counts(requests=2, overdue=FEWEST_OVERDUE - 1), counts(100)) == ""


def test_one_that_takes_workers_along_is_out() -> None:
    assert judged(Counts(), Counts(), deaths=MOST_DEATHS - 1) == ""
    assert judged(Counts(), Counts(), deaths=MOST_DEATHS) == "3 workers have died since it was loaded"


def test_each_span_of_time_is_judged_for_itself() -> None:
    lately, whole = Tally("iris", 7, 1, 6, counts(60, errors=10), counts(600)), Tally("iris", 7, 1, 6, counts(9000))

    assert broken([lately, whole], 0, LIMITS) != ""
    assert broken([whole], 0, LIMITS) == ""


@given(requests=st.integers(0, 300), errors=st.integers(0, 300), beside=st.integers(0, 300))
def test_fewer_errors_are_never_worse(requests: int, errors: int, beside: int) -> None:
    errors = min(errors, requests)
    worse, better = Counts(requests, errors), Counts(requests, max(errors - 1, 0))

    assert judged(worse, Counts(beside)) or not judged(better, Counts(beside))
