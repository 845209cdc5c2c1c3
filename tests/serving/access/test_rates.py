from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.access.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_one_at_a_time() -> None:
    clock = Clock()
    rates = Rates(10, 5, clock=clock)

    assert [rates.wait("a") for _ in range(5)] == [0] * 5
    assert rates.wait("a") == pytest.approx(0.1)
    clock.now += 0.1
    assert rates.wait("a") == 0
    assert rates.wait("a") > 0
    clock.now += 60
    assert [rates.wait("a") for _ in range(5)] == [0] * 5
    assert rates.wait("a") > 0, "a bucket is never more than full"


def test_one_caller_takes_nothing_from_another() -> None:
    rates = Rates(1, 1, clock=Clock())

    assert rates.wait("a") == 0
    assert rates.wait("a") > 0
    assert rates.wait("b") == 0


def test_a_caller_with_a_rate_of_its_own_is_held_to_that() -> None:
    clock = Clock()
    unlimited = Rates(None, 2, clock=clock)

    assert [unlimited.wait("a") for _ in range(100)] == [0] * 100
    assert [unlimited.wait("b", own=4) for _ in range(3)] == [0, 0, pytest.approx(0.25)]


def test_workers_share_a_bucket(tmp_path: Path) -> None:
    clock = Clock()
    one, two = (Rates(1, 4, tmp_path / "rates", clock) for _ in range(2))

    assert [each.wait("a") for each in (one, two, one, two)] == [0] * 4
    assert one.wait("a") > 0
    assert two.wait("a") > 0


def test_nobody_is_refused_for_what_another_worker_counted_meanwhile(tmp_path: Path) -> None:
    """As fast as nobody asks: a whole bucket is 20 ns, less than it takes to read the clock."""
    clock = Clock()
    other = Rates(1e9, 20, tmp_path / "rates", clock)
    answers = []

    def interrupted() -> float:
        """The other worker reads its clock and counts, right after this one has read its own."""
        now = clock.now
        clock.now += 1e-4
        answers.append(other.wait("a"))
        return now

    one = Rates(1e9, 20, tmp_path / "rates", interrupted)
    for _ in range(10):
        clock.now += 1e-6
        answers.append(one.wait("a"))

    assert answers == [0] * 20


@given(st.lists(st.tuples(st.booleans(), st.floats(1e-7, 1e-3)), max_size=60), st.floats(0, 9e-6))
def test_workers_whose_clocks_are_a_little_apart_refuse_nobody_for_it(
    asks: list[tuple[bool, float]], apart: float
) -> None:
    clock = Clock()
    with TemporaryDirectory() as folder:
        ahead, behind = (Rates(1e9, 20, Path(folder, "rates"), each) for each in (clock, lambda: clock.now - apart))
        for one, pause in asks:
            clock.now += pause
            assert (ahead if one else behind).wait("a") == 0


def test_a_clock_that_began_anew_locks_nobody_out(tmp_path: Path) -> None:
    clock = Clock()
    Rates(1, 2, tmp_path / "rates", clock).wait("a")
    clock.now = 0.0

    assert Rates(1, 2, tmp_path / "rates", clock).wait("a") < 2


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
    st.floats(0.5, 50),
    st.integers(1, 10),
)
def test_never_more_than_the_burst_and_the_rate_of_the_time(pauses: list[float], rate: float, burst: int) -> None:
    clock = Clock()
    rates = Rates(rate, burst, clock=clock)
    admitted = []
    for pause in pauses:
        clock.now += pause
        if rates.wait("a") == 0:
            admitted.append(clock.now)

    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= burst + rate * (admitted[last] - admitted[first]) + 1e-6


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0.5, 50), st.integers(1, 10))
def test_who_waits_as_long_as_is_said_is_let_in(pauses: list[float], rate: float, burst: int) -> None:
    clock = Clock()
    rates = Rates(rate, burst, clock=clock)
    for pause in pauses:
        clock.now += pause
        if wait := rates.wait("a"):
            clock.now += wait
            assert rates.wait("a") == 0
