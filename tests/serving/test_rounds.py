import asyncio
import time

import pytest
import uvloop

from serving.rounds import FIRST_BEGUN, LEAST_BEGUN, ROUND_SECONDS, Rounds


def begun_in_the_last(rounds: Rounds, number: int, *, each_seconds: float) -> int:
    """Of so many rounds, of predictions that take so long."""
    begun = 0
    for _ in range(number):
        begun = sum(rounds.admits() for _ in range(1000))
        rounds.read()
        rounds.answered(begun * each_seconds)
    return begun


def test_so_many_begin_in_a_round_as_fit_in_a_few_milliseconds() -> None:
    rounds = Rounds()

    assert begun_in_the_last(rounds, 30, each_seconds=0.0001) == ROUND_SECONDS / 0.0001
    assert begun_in_the_last(rounds, 30, each_seconds=0.0005) == ROUND_SECONDS / 0.0005
    assert rounds.each_seconds == pytest.approx(0.0005)
    assert begun_in_the_last(rounds, 30, each_seconds=1) == LEAST_BEGUN
    assert rounds.each_seconds == pytest.approx(1, rel=0.01)


def test_a_round_that_was_held_up_hardly_changes_the_next_one() -> None:
    rounds = Rounds()
    usual = begun_in_the_last(rounds, 30, each_seconds=0.0001)

    begun_in_the_last(rounds, 1, each_seconds=1)

    assert begun_in_the_last(rounds, 1, each_seconds=0.0001) > usual / 2


async def test_rounds_are_told_apart_in_a_real_loop() -> None:
    rounds = Rounds()
    loop = asyncio.get_running_loop()
    rounds.start(loop)
    begun: list[bool] = []

    def read(requests: int) -> None:
        begun.extend(rounds.admits() for _ in range(requests))

    for _ in range(3):  # three sockets of one round
        loop.call_soon(read, FIRST_BEGUN)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun.count(True) == FIRST_BEGUN
    await asyncio.sleep(0)
    read(1)

    assert begun[-1]


def test_calls_over_grpc_that_come_in_a_round_are_counted_by_themselves() -> None:
    rounds = Rounds()

    async def two_rounds() -> list[int]:
        loop = asyncio.get_running_loop()
        begun = []

        def come() -> None:
            came = time.perf_counter()
            while time.perf_counter() - came < 0.01:  # a round is one however long it takes
                pass
            begun.append(sum([rounds.admits_call() for _ in range(100)]))

        for _ in range(2):
            loop.call_soon(come)
            loop.call_soon(come)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return begun

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(two_rounds()) == [FIRST_BEGUN, 0, FIRST_BEGUN, 0]
    assert sum(rounds.admits() for _ in range(100)) == FIRST_BEGUN


def test_who_came_is_counted_until_it_is_forgotten() -> None:
    rounds = Rounds()
    assert rounds.refused_share == 0

    for _ in range(2 * FIRST_BEGUN):
        rounds.admits()
    assert rounds.refused_share == 0.5

    rounds.forget()
    assert rounds.refused_share == 0
