import math

import pytest

from serving.congestion import (
    CALM_SECONDS,
    JOINED_CALLS,
    LEAST_SECONDS,
    PATIENT_CALLS,
    WAITED_CALLS,
    Congestion,
)
from tests.fakes import Clock

ROW = 0.01
MOST = 0.5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def measured(clock: Clock) -> Congestion:
    """Of a model that takes 10 ms a row."""
    made = Congestion(MOST, clock)
    for _ in range(9):
        made.called(1, ROW, side_by_side=1)
    return made


def test_before_a_call_was_measured_anybody_may_wait(clock: Clock) -> None:
    assert Congestion(MOST, clock).admits(1_000_000)


def test_a_burst_may_wait_as_long_as_the_setting_says(measured: Congestion) -> None:
    assert measured.admits(int(MOST / ROW))
    assert not measured.admits(int(MOST / ROW) + 1)


def test_once_somebody_was_refused_nobody_waits_longer_than_a_few_calls(measured: Congestion, clock: Clock) -> None:
    measured.admits(1000)

    assert [measured.admits(WAITED_CALLS), measured.admits(WAITED_CALLS + 1)] == [True, False]
    clock.now += CALM_SECONDS / 2
    assert not measured.admits(WAITED_CALLS + 1)  # which is an overload still, for as long again
    clock.now += CALM_SECONDS / 2
    assert measured.is_too_long(WAITED_CALLS + 1)


def test_it_is_over_when_nobody_was_refused_for_a_while(measured: Congestion, clock: Clock) -> None:
    measured.admits(1000)
    clock.now += CALM_SECONDS

    assert measured.admits(int(MOST / ROW))


def test_it_says_how_many_may_wait_now(clock: Clock, measured: Congestion) -> None:
    assert Congestion(MOST, clock).most_rows() == math.inf
    assert measured.most_rows() == pytest.approx(MOST / ROW)

    measured.admits(1000)
    assert measured.most_rows() == pytest.approx(WAITED_CALLS)

    clock.now += CALM_SECONDS
    assert measured.most_rows() == pytest.approx(MOST / ROW)


def test_one_call_that_was_held_up_refuses_nobody(measured: Congestion) -> None:
    measured.called(1, 30, side_by_side=1)

    assert measured.admits(int(MOST / ROW))


def test_a_slow_model_has_bursts_of_its_own(clock: Clock) -> None:
    slow = Congestion(MOST, clock)
    slow.called(1, 2, side_by_side=1)

    assert [slow.admits(PATIENT_CALLS), slow.admits(PATIENT_CALLS + 1)] == [True, False]


def test_a_quick_model_keeps_enough_to_do(clock: Clock) -> None:
    quick = Congestion(MOST, clock)
    quick.called(100, 0.001, side_by_side=1)
    quick.admits(10**9)

    assert quick.admits(int(LEAST_SECONDS / 0.00001) - 1)


def test_what_is_called_side_by_side_is_waited_for_less(clock: Clock) -> None:
    wide = Congestion(MOST, clock)
    wide.called(1, ROW, side_by_side=5)

    assert wide.admits(5 * int(MOST / ROW))


def test_in_an_overload_a_call_has_no_more_rows_than_it_has_time_for_in_a_few(measured: Congestion) -> None:
    assert measured.joined(256) == 256

    measured.admits(1000)

    assert measured.joined(256) == JOINED_CALLS
    assert measured.joined(2) == 2


def test_a_model_that_takes_no_longer_for_more_rows_gets_them_in_an_overload_too(clock: Clock) -> None:
    wide = Congestion(MOST, clock)
    for _ in range(9):
        wide.called(200, ROW, side_by_side=1)
    wide.admits(10**9)

    assert wide.joined(256) == 256


def test_rows_that_take_longer_than_a_few_calls_go_alone(clock: Clock) -> None:
    uneven = Congestion(MOST, clock)
    uneven.called(1, ROW, side_by_side=1)
    for _ in range(9):
        uneven.called(1, 1.0, side_by_side=1)
    uneven.admits(1000)

    assert uneven.joined(256) == 1
