import threading
from collections.abc import Iterator

import pytest

from serving.trials.lane import Bounds, Lane
from tests.fakes import Clock
from tests.servers import eventually


class Held:
    """Work that goes on until it is released."""

    def __init__(self) -> None:
        self.started, self.release = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.started.set()
        assert self.release.wait(20)


@pytest.fixture
def held() -> Iterator[Held]:
    work = Held()
    yield work
    work.release.set()


def nothing() -> None:
    pass


def test_what_is_taken_is_done_in_order() -> None:
    lane, done = Lane(), [0]

    taken = [lane.offer(lambda number=number: done.append(number), 1) for number in range(1, 5)]  # type: ignore[misc]

    assert taken == [True] * 4
    assert eventually(lambda: len(done) == 5)
    assert done == [0, 1, 2, 3, 4]
    lane.close()


def test_a_full_lane_turns_away_and_never_waits(held: Held) -> None:
    lane = Lane(Bounds(items=3))
    lane.offer(held, 0)
    assert held.started.wait(20)

    assert [lane.offer(nothing, 0) for _ in range(5)] == [True, True, True, False, False]
    lane.close()


def test_the_bytes_of_what_waits_are_bounded(held: Held) -> None:
    lane = Lane(Bounds(bytes=10))
    lane.offer(held, 10)
    assert held.started.wait(20)

    assert [lane.offer(nothing, size) for size in (6, 6, 4, 1)] == [True, False, True, False]
    lane.close()


def test_what_fails_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    lane, done = Lane(), threading.Event()

    def broken() -> None:
        raise ZeroDivisionError("secret row")

    lane.offer(broken, 0)
    lane.offer(done.set, 0)

    assert done.wait(20)
    assert [record.message for record in caplog.records] == ["copy failed"]
    assert "secret row" not in str(vars(caplog.records[0]))
    lane.close()


def test_work_that_does_not_end_is_known_and_what_waits_behind_it(held: Held) -> None:
    clock = Clock()
    lane = Lane(clock=clock, rest=lambda _seconds: None)
    lane.offer(held, 0)
    assert held.started.wait(20)
    lane.offer(nothing, 0)
    assert lane.stuck(5) == 0

    clock.now += 6

    assert lane.stuck(5) == 2
    held.release.set()
    assert eventually(lambda: lane.stuck(5) == 0)
    lane.close()


def test_waiting_for_others_is_not_being_stuck(held: Held) -> None:
    """A full lane whose work is quick enough says nothing of that work."""
    clock, first = Clock(), Held()
    lane = Lane(clock=clock, rest=lambda _seconds: None)
    lane.offer(first, 0)
    lane.offer(held, 0)
    assert first.started.wait(20)
    clock.now += 4
    first.release.set()
    assert held.started.wait(20)
    clock.now += 4

    assert lane.stuck(5) == 0
    lane.close()


def test_a_closed_lane_drops_what_waits_and_ends(held: Held) -> None:
    before = set(threading.enumerate())
    lane, done = Lane(), threading.Event()
    lane.offer(held, 0)
    assert held.started.wait(20)
    lane.offer(done.set, 0)

    lane.close()
    held.release.set()

    assert not lane.offer(nothing, 0)
    assert eventually(lambda: set(threading.enumerate()) <= before)
    assert not done.is_set()


def test_it_rests_so_that_it_takes_only_its_share_of_the_time() -> None:
    clock, rests, done = Clock(), list[float](), threading.Event()

    def work() -> None:
        clock.now += 0.1

    lane = Lane(Bounds(share=0.2), clock, rests.append)
    for each in (work, work, done.set):
        lane.offer(each, 0)

    assert done.wait(20)
    assert rests == pytest.approx([0.4, 0.4])
    lane.close()


def test_short_rests_are_taken_together() -> None:
    clock, rests, done = Clock(), list[float](), threading.Event()

    def work() -> None:
        clock.now += 0.001

    lane = Lane(Bounds(share=0.5), clock, rests.append)
    for each in (*[work] * 7, done.set):
        lane.offer(each, 0)

    assert done.wait(20)
    assert rests == pytest.approx([0.006])
    lane.close()
