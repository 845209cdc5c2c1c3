from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.protocol import Trial
from serving.trials.tally import OVERDUE_SECONDS, Counter, Counts, Tally, total
from tests.fakes import Clock, a_version

TRIAL = Trial(a_version(7), "shadow", 0, 5)
EMPTY = Tally("iris", 7, 5, 6)


class Event(NamedTuple):
    version: int
    seconds: float | None
    """None: it failed."""


EVENTS = st.lists(st.builds(Event, st.sampled_from([6, 7]), st.none() | st.floats(1e-6, 200)), max_size=60)


def counted(events: Iterable[Event]) -> Tally:
    counter = Counter(TRIAL, 6)
    for event in events:
        if event.seconds is None:
            counter.failed(event.version)
        else:
            counter.answered(event.version, event.seconds)
    return counter.tally()


@given(parts=st.lists(EVENTS, max_size=4))
def test_what_several_workers_count_adds_up_to_what_one_would(parts: list[list[Event]]) -> None:
    together = counted(event for part in parts for event in part)

    assert total(EMPTY, [counted(part) for part in parts]) == together


@given(before=EVENTS, after=EVENTS)
def test_what_came_after_a_moment_is_what_was_counted_since(before: list[Event], after: list[Event]) -> None:
    found, alone = counted([*before, *after]).since(counted(before)), counted(after)

    assert (found.candidate.requests, found.candidate.errors) == (alone.candidate.requests, alone.candidate.errors)
    assert found.candidate.p99_seconds == alone.candidate.p99_seconds
    assert found.beside.p99_seconds == alone.beside.p99_seconds


@given(seconds=st.lists(st.floats(2e-5, 90), min_size=1, max_size=300))
def test_the_p99_is_right_to_a_tenth(seconds: list[float]) -> None:
    found = counted([Event(7, each) for each in seconds]).candidate.p99_seconds

    assert found == pytest.approx(np.percentile(seconds, 99, method="inverted_cdf"), rel=0.1)


def test_nothing_measured_has_no_p99() -> None:
    assert Counts().p99_seconds is None
    assert counted([Event(7, None)]).candidate.p99_seconds is None


def test_only_the_trial_that_is_asked_for_is_added_up() -> None:
    other = Tally("iris", 7, 4, 6, Counts(10, 10))

    assert total(EMPTY, [other]) == EMPTY


def test_what_a_former_production_did_is_not_laid_beside_the_candidate() -> None:
    counter = Counter(TRIAL, 6)
    counter.answered(6, 1)
    counter.failed(7)
    counter.beside(8)
    counter.answered(6, 1)  # it had begun before the swap
    counter.answered(8, 1)

    tally = counter.tally()

    assert (tally.production, tally.beside.requests, tally.candidate.errors) == (8, 1, 1)
    assert total(Tally("iris", 7, 5, 9), [tally]).beside == Counts()


def test_who_waits_long_is_counted_before_there_is_an_answer() -> None:
    clock = Clock()
    counter = Counter(TRIAL, 6, clock)
    began = [counter.begins(7) for _ in range(3)]
    assert counter.tally().candidate == Counts()

    clock.now += OVERDUE_SECONDS + 1

    assert (counter.tally().candidate.requests, counter.tally().candidate.overdue) == (3, 3)
    assert counter.tally().candidate.p99_seconds == pytest.approx(OVERDUE_SECONDS + 1, rel=0.1)
    for each in began:
        counter.ends(7, each)
        counter.failed(7)
    assert (counter.tally().candidate.requests, counter.tally().candidate.overdue) == (3, 0)


def test_copies_that_wait_long_are_told_too() -> None:
    assert Counter(TRIAL, 6).tally(late_copies=4).candidate.overdue == 4


def test_comparisons_are_counted() -> None:
    counter = Counter(TRIAL, 6)
    counter.compared(agreed=True)
    counter.compared(agreed=False)
    counter.dropped()

    tally = counter.tally()

    assert (tally.compared, tally.disagreed, tally.dropped) == (2, 1, 1)
