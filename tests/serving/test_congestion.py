import math

import pytest

from serving.congestion import (
    CALM_SECONDS,
    JOINED_CALLS,
    KNOWING_CALLS,
    KNOWN_TIMES,
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
    assert Congestion(MOST, clock).admits(1_000_000, 1)


def test_a_burst_may_wait_as_long_as_the_setting_says(measured: Congestion) -> None:
    assert measured.admits(int(MOST / ROW), 1)
    assert not measured.admits(int(MOST / ROW) + 1, 1)


def test_once_somebody_was_refused_nobody_waits_longer_than_a_few_calls(measured: Congestion, clock: Clock) -> None:
    measured.admits(1000, 1)

    assert [measured.admits(WAITED_CALLS, 1), measured.admits(WAITED_CALLS + 1, 1)] == [True, False]
    clock.now += CALM_SECONDS / 2
    assert not measured.admits(WAITED_CALLS + 1, 1)  # which is an overload still, for as long again
    clock.now += CALM_SECONDS / 2
    assert measured.is_too_long(WAITED_CALLS + 1, 1)


def test_it_is_over_when_nobody_was_refused_for_a_while(measured: Congestion, clock: Clock) -> None:
    measured.admits(1000, 1)
    clock.now += CALM_SECONDS

    assert measured.admits(int(MOST / ROW), 1)


def test_it_says_how_many_may_wait_now(clock: Clock, measured: Congestion) -> None:
    assert Congestion(MOST, clock).most_rows(1) == math.inf
    assert measured.most_rows(1) == pytest.approx(MOST / ROW)

    measured.admits(1000, 1)
    assert measured.most_rows(1) == pytest.approx(WAITED_CALLS)

    clock.now += CALM_SECONDS
    assert measured.most_rows(1) == pytest.approx(MOST / ROW)


def test_one_call_that_was_held_up_refuses_nobody(measured: Congestion) -> None:
    measured.called(1, 30, side_by_side=1)

    assert measured.admits(int(MOST / ROW), 1)


def test_a_slow_model_has_bursts_of_its_own(clock: Clock) -> None:
    slow = Congestion(MOST, clock)
    for _ in range(KNOWING_CALLS):
        slow.called(1, 2, side_by_side=1)

    assert [slow.admits(PATIENT_CALLS, 1), slow.admits(PATIENT_CALLS + 1, 1)] == [True, False]


def test_a_quick_model_keeps_enough_to_do(clock: Clock) -> None:
    quick = Congestion(MOST, clock)
    for _ in range(KNOWING_CALLS):
        quick.called(100, 0.001, side_by_side=1)
    quick.admits(10**9, 100)

    assert quick.admits(int(LEAST_SECONDS / 0.00001) - 1, 100)


def test_what_is_called_side_by_side_is_waited_for_less(clock: Clock) -> None:
    wide = Congestion(MOST, clock)
    for _ in range(KNOWING_CALLS):
        wide.called(1, ROW, side_by_side=5)

    assert wide.admits(5 * int(MOST / ROW), 1)


def test_in_an_overload_a_call_has_no_more_rows_than_it_has_time_for_in_a_few(measured: Congestion) -> None:
    assert measured.joined(KNOWN_TIMES) == KNOWN_TIMES

    measured.admits(1000, 1)

    assert measured.joined(256) == JOINED_CALLS
    assert measured.joined(2) == 2


def test_a_model_that_takes_no_longer_for_more_rows_gets_them_in_an_overload_too(clock: Clock) -> None:
    wide = Congestion(MOST, clock)
    for _ in range(9):
        wide.called(200, ROW, side_by_side=1)
    wide.admits(10**9, 200)

    assert wide.joined(256) == 256


def test_rows_that_take_longer_than_a_few_calls_go_alone(clock: Clock) -> None:
    uneven = Congestion(MOST, clock)
    uneven.called(1, ROW, side_by_side=1)
    for _ in range(9):
        uneven.called(1, 1.0, side_by_side=1)
    uneven.admits(1000, 1)

    assert uneven.joined(256) == 1


def test_what_single_rows_take_says_nothing_of_calls_with_many(clock: Clock) -> None:
    """Each call of a pandas model takes 3 ms, whatever is in it."""
    wide = Congestion(MOST, clock)
    for rows in (1, 8, 64, *[1] * 20):
        wide.called(rows, 0.003, side_by_side=1)

    assert wide.admits(1000, 64)
    assert not wide.admits(1000, 1), "where each goes alone"


def test_how_long_much_larger_calls_take_nobody_knows_and_they_become_so_step_by_step(measured: Congestion) -> None:
    assert measured.admits(1000, KNOWN_TIMES + 1)
    assert not measured.admits(1000, KNOWN_TIMES)

    assert measured.joined(256) == JOINED_CALLS
    calm = Congestion(MOST, Clock())
    assert calm.joined(256) == 256
    for rows, most in [(1, KNOWN_TIMES), (KNOWN_TIMES, KNOWN_TIMES**2), (2, KNOWN_TIMES**2), (200, 256)]:
        calm.called(rows, ROW, side_by_side=1)
        assert calm.joined(256) == most


def test_the_first_call_of_a_model_refuses_nobody(clock: Clock) -> None:
    cold = Congestion(MOST, clock)
    cold.called(1, 5, side_by_side=1)
    assert cold.admits(1000, 1)

    cold.called(1, 0.0001, side_by_side=1)
    assert cold.admits(1000, 1)


def test_what_was_taken_for_an_overload_by_mistake_is_none_when_calls_show_it(clock: Clock) -> None:
    """Else callers who come back at once would be refused for as long as they do."""
    made = Congestion(MOST, clock)
    for _ in range(9):
        made.called(1, 0.003, side_by_side=1)
    assert not made.admits(300, 8)
    assert not made.admits(30, 8)

    for _ in range(3):
        made.called(8, 0.003, side_by_side=1)

    assert made.admits(300, 8)
    assert made.joined(64) == 64


def test_an_overload_is_no_mistake_because_calls_become_a_little_quicker(measured: Congestion, clock: Clock) -> None:
    measured.admits(60, 1)
    for _ in range(9):
        measured.called(1, 0.8 * ROW, side_by_side=1)

    assert not measured.admits(60, 1)
    assert not measured.admits(10, 1)
